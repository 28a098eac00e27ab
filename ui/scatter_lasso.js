// A lasso that looks at the points once, when it is closed. Plotly's own looks at all of them with every movement, which
// takes seconds each where 50 000 points are drawn without a graphics card, and leaves an outline that hides them from
// the pointer.

const STILL = 4; // pixels that a hand may shake in a click
const TWICE = { ms: 350, pixels: 24 }; // between the clicks of a double click, a finger's too

// `begin()` when a way is longer than a click, `end(inside)` when it is closed, `click(at)` with the place in pixels of
// the node, `clear()` on a double click and on Escape. Escape while drawing only drops the way.
function listenForLasso(node, { begin, end, click, clear }) {
  let way = null; // corners in pixels of the node, while the button is down
  let line = null; // what is drawn of it
  let last = { time: -Infinity, at: [0, 0] }; // the last click
  const armed = (event) => node._fullLayout?.dragmode === "lasso" && event.target.closest?.(".nsewdrag");
  const spot = (event) => {
    const box = node.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const apart = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);
  const drop = () => {
    line?.remove();
    way = line = null;
  };
  node.tabIndex = -1; // takes the focus, so that it hears of Escape, and is no stop on the way through the page
  node.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0 || !event.isPrimary || !armed(event)) return;
      event.preventDefault(); // plotly hears of no mouse then
      node.focus({ preventScroll: true });
      node.setPointerCapture(event.pointerId);
      way = [spot(event)];
    },
    true,
  );
  const held = (event) => {
    if (!armed(event)) return;
    event.preventDefault(); // a finger draws instead of scrolling
    event.stopPropagation();
  };
  node.addEventListener("touchstart", held, { capture: true, passive: false });
  node.addEventListener("pointermove", (event) => {
    if (!way || !event.isPrimary) return;
    const now = spot(event);
    if (!line && apart(now, way[0]) < STILL) return;
    if (!line) {
      line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      line.setAttribute("class", "cpc-lasso");
      line.append(document.createElementNS("http://www.w3.org/2000/svg", "polygon"));
      node.append(line);
      begin();
    }
    way.push(now);
    line.firstChild.setAttribute("points", way.map((corner) => corner.join()).join(" "));
  });
  node.addEventListener("pointerup", (event) => {
    if (!way || !event.isPrimary) return;
    const { xaxis, yaxis } = node._fullLayout;
    const corners = way.map(([x, y]) => [xaxis.p2d(x - xaxis._offset), yaxis.p2d(y - yaxis._offset)]);
    const [at] = way;
    const drawn = line;
    drop();
    if (drawn) return end(insideOf(corners));
    const again = event.timeStamp - last.time < TWICE.ms && apart(at, last.at) < TWICE.pixels;
    last = { time: again ? -Infinity : event.timeStamp, at };
    if (again) clear();
    else click(at);
  });
  node.addEventListener("lostpointercapture", drop); // after each release, and where the browser takes it away
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.target !== node) return;
    if (way) drop();
    else clear();
  });
}

// Whether a point lies within a polygon: a ray from it crosses the edge an odd number of times.
function insideOf(corners) {
  const xs = corners.map(([x]) => x);
  const ys = corners.map(([, y]) => y);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  return (x, y) => {
    if (x < left || x > right || y < low || y > high) return false;
    let odd = false;
    for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
      const crosses = ys[i] > y !== ys[j] > y;
      if (crosses && x < ((xs[j] - xs[i]) * (y - ys[i])) / (ys[j] - ys[i]) + xs[i]) odd = !odd;
    }
    return odd;
  };
}
