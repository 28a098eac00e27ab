// The card beside the pointer: what one point looks like, and its sound. One card and one sound on the whole page.
// All text is untrusted (names of files and folders): it is set as text, never as markup.

let card = null; // the element, made when first needed
const player = new Audio();

function make(tag, name, text = "") {
  return Object.assign(document.createElement(tag), { className: name, textContent: text });
}

function place(x, y) {
  const { offsetWidth: width, offsetHeight: height } = card;
  const left = x + 18 + width > innerWidth ? x - 18 - width : x + 18;
  card.style.left = `${Math.max(4, Math.min(left, innerWidth - width - 4))}px`;
  card.style.top = `${Math.max(4, Math.min(y + 18, innerHeight - height - 4))}px`;
}

// `item`: {title, lines, picture, sound}; while the answer is on its way only the title is known.
function showCard(host, item, at) {
  if (!card) {
    card = make("div", "cpc-card");
    card.setAttribute("role", "tooltip");
    card.popover = "manual"; // above everything, other columns and the menu too
  }
  if (card.parentElement !== host) host.append(card); // inside the component it inherits the theme's colors
  const picture = item.picture ? [Object.assign(make("img", ""), { src: item.picture, alt: "" })] : [];
  const lines = (item.lines ?? []).map((line) => make("div", "cpc-card-line", line));
  card.replaceChildren(...picture, make("div", "cpc-card-title", item.title), ...lines);
  card.dataset.id = item.id;
  if (!card.matches(":popover-open")) card.showPopover();
  place(at.x, at.y);
}

function hideCard() {
  card?.remove();
}

// Sound plays, anything else that can be seen is enlarged.
function press(host, item) {
  if (item.sound) {
    player.src = item.sound;
    player.play().catch((error) => console.warn(`cannot play: ${error.message}`));
  } else if (item.picture) {
    const dialog = make("dialog", "cpc-large");
    dialog.setAttribute("aria-label", item.title);
    dialog.append(Object.assign(make("img", ""), { src: item.picture, alt: item.title }), make("p", "", item.title));
    dialog.onclick = () => dialog.close();
    dialog.onclose = () => dialog.remove();
    host.append(dialog);
    dialog.showModal();
  }
}

// One at a time, whichever player on the page it is; space stops it, as long as no field or button has the focus.
document.addEventListener(
  "play",
  (event) => {
    for (const other of [player, ...document.querySelectorAll("audio")]) if (other !== event.target) other.pause();
  },
  true,
);
player.addEventListener("play", () => document.querySelectorAll("audio").forEach((other) => other.pause()));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideCard();
  const fields = "input, textarea, select, button, a, [contenteditable], [role]:not(.cpc-scatter)";
  const busy = document.activeElement?.matches(fields);
  const playing = [player, ...document.querySelectorAll("audio")].filter((media) => !media.paused);
  if (event.key !== " " || !playing.length || busy) return;
  event.preventDefault(); // the page does not scroll
  playing.forEach((media) => media.pause());
});
