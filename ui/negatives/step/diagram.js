// Leads through the stages of one step: by itself, by buttons, by keys. Without motion where the reader wants none.
// Modes: "still" shows a stage as it is at its end, "playing" draws it and goes on, "held" stops in between.

const TICK = 100; // milliseconds
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const films = new WeakMap(); // parent element → where its film is

// The lines of the algorithms, which stand below the diagram: those of this stage are lit.
function light(current) {
  for (const number of [1, 2]) {
    const lines = document.querySelectorAll(`.st-key-algorithm-${number} ol > li`);
    lines.forEach((line, index) => {
      line.id ||= `algorithm-${number}-line-${index + 1}`;
      const lit = current.includes(`${number}-${index + 1}`);
      if (line.classList.contains("cpc-lit") === lit) return;
      line.classList.toggle("cpc-lit", lit);
      if (lit) line.setAttribute("aria-current", "step");
      else line.removeAttribute("aria-current");
    });
  }
}

export default function ({ parentElement, data }) {
  const root = parentElement.querySelector(".cpc-step");
  const list = root.querySelector(".stages");
  const film = films.get(parentElement) ?? { at: 0, mode: calm.matches ? "still" : "playing", passed: 0 };
  films.set(parentElement, film);
  if (film.html !== data) {
    film.html = data;
    list.innerHTML = data;
  }
  const stages = [...list.children];
  const last = stages.length - 1;
  const seconds = (stage) => 3 + stage.querySelector(".sentence").textContent.split(" ").length / 5; // to read it

  const progress = () => {
    const stage = stages[film.at];
    stage.style.setProperty("--passed", Math.min(film.passed / seconds(stage), 1));
  };
  const draw = () => {
    progress(); // of another anchor the stages are new
    root.classList.toggle("playing", film.mode === "playing");
    root.classList.toggle("held", film.mode === "held");
    stages.forEach((stage, index) => {
      stage.classList.toggle("current", index === film.at);
      const node = stage.querySelector(".node");
      if (index === film.at) node.setAttribute("aria-current", "step");
      else node.removeAttribute("aria-current");
    });
    root.querySelector(".play").lastChild.textContent = film.mode === "playing" ? "Pause" : "Play";
    root.querySelector(".at").textContent = `${film.at + 1} of ${stages.length}`;
    light(stages[film.at].dataset.lines.split(" "));
  };
  const go = (to, mode) => {
    Object.assign(film, { at: Math.min(Math.max(to, 0), last), mode, passed: 0 });
    draw();
  };
  // Where the stages lie below one another, the next one may be out of sight: it is shown to a reader who follows.
  const follows = () => {
    const box = stages[film.at].querySelector(".node").getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  };
  const show = () => {
    const panel = stages[film.at].querySelector(".panel");
    panel.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
  };
  const step = (to) => {
    go(to, "still");
    show();
    const panel = stages[film.at].querySelector(".panel");
    root.querySelector(".said").textContent =
      `${panel.getAttribute("aria-label")}. ${panel.querySelector(".sentence").textContent}`;
  };
  const play = () => {
    film.asked = true;
    if (film.mode === "held") film.mode = "playing";
    else go(film.at === last ? 0 : film.at, "playing");
    draw();
  };
  const pause = () => {
    film.mode = "held";
    draw();
  };
  const toggle = () => {
    film.mode === "playing" ? pause() : play();
  };

  clearInterval(film.timer); // this is called again for every other anchor
  film.timer = setInterval(() => {
    light(stages[film.at].dataset.lines.split(" ")); // the page may have drawn the lines again
    if (film.mode !== "playing") return;
    film.passed += TICK / 1000;
    progress();
    if (film.passed < seconds(stages[film.at])) return;
    if (film.at === last) return go(last, "still");
    const watched = film.asked && follows(); // what plays unasked leaves the page where it is
    go(film.at + 1, "playing");
    if (watched) show();
  }, TICK);

  root.querySelector(".back").onclick = () => step(film.at - 1);
  root.querySelector(".next").onclick = () => step(film.at + 1);
  root.querySelector(".play").onclick = toggle;
  list.onclick = (event) => {
    const node = event.target.closest(".node");
    const link = event.target.closest("a[href^='#']");
    if (node) step(stages.indexOf(node.parentElement));
    if (!link) return;
    event.preventDefault();
    if (film.mode === "playing") pause();
    const line = document.getElementById(link.hash.slice(1));
    if (!line) return;
    line.tabIndex = -1;
    line.focus({ preventScroll: true });
    line.scrollIntoView({ block: "center", behavior: calm.matches ? "auto" : "smooth" });
  };
  root.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = {
      ArrowRight: film.at + 1,
      ArrowDown: film.at + 1,
      ArrowLeft: film.at - 1,
      ArrowUp: film.at - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      step(to);
      const node = stages[film.at].querySelector(".node");
      if (event.target.closest?.(".node")) node.focus();
    } else if (event.key === " " && !event.target.closest(".back, .next, .node:not([aria-current])")) {
      event.preventDefault(); // neither does the page scroll nor is the button pressed once more
      if (!event.repeat) toggle();
    }
  };
  draw();
  return () => clearInterval(film.timer);
}
