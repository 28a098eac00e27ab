// What a mouse or a finger does on a map in the place of plotly's own tools: drag, click, click twice.

const STILL = 4; // pixels that a hand may shake in a click
const TWICE = { ms: 350, pixels: 24 }; // between the clicks of a double click, a finger's too

const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

// `tools`: for plotly's dragmode, what drags in that mode: {begin(at), move(at), end(), drop(), twice(), escape()}; a mode
// without one is plotly's. Places are in pixels of the node. Escape while dragging drops it.
function listenForDrag(node, tools, { begin, click }) {
  let tool = null; // while the button is down
  let from = null;
  let dragging = false;
  let last = { time: -Infinity, at: [0, 0] }; // the last click
  const ours = (event) => event.target.closest?.(".nsewdrag") && tools[node._fullLayout?.dragmode];
  const spot = (event) => {
    const box = node.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const drop = () => {
    if (dragging) tool.drop();
    tool = null;
    dragging = false;
  };
  node.tabIndex = -1; // takes the focus, so that it hears of Escape, and is no stop on the way through the page
  node.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0 || !event.isPrimary || !ours(event)) return;
      event.preventDefault(); // plotly hears of no mouse then
      node.focus({ preventScroll: true });
      node.setPointerCapture(event.pointerId);
      tool = ours(event);
      from = spot(event);
    },
    true,
  );
  const held = (event) => {
    if (!ours(event)) return;
    event.preventDefault(); // a finger draws instead of scrolling
    event.stopPropagation();
  };
  node.addEventListener("touchstart", held, { capture: true, passive: false });
  node.addEventListener("pointermove", (event) => {
    if (!tool || !event.isPrimary) return;
    const now = spot(event);
    if (!dragging && apart(now, from) < STILL) return;
    if (!dragging) {
      dragging = true;
      begin();
      tool.begin(from);
    }
    tool.move(now);
  });
  node.addEventListener("pointerup", (event) => {
    if (!tool || !event.isPrimary) return;
    const used = tool;
    if (dragging) {
      used.end();
      return drop();
    }
    drop();
    const again = event.timeStamp - last.time < TWICE.ms && apart(from, last.at) < TWICE.pixels;
    last = { time: again ? -Infinity : event.timeStamp, at: from };
    if (again) used.twice();
    else click(from);
  });
  node.addEventListener("lostpointercapture", drop); // after each release, and where the browser takes it away
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.target !== node) return;
    if (tool) drop();
    else tools.lasso.escape();
  });
}
