// The name of each group above its densest place, so that nobody reads a map back and forth with its legend: largest
// groups first, and none that would lie over another. They are no part of the chart, so they stretch no axis.

const GAP = 4; // px between two names, and to the edge
const LONGEST = 20; // letters
const ABOVE = 6; // px between a name and the place, for a group as small as its name would be hidden
const APART = 80; // px between the two names of a group of sounds and pictures; where they lie together one is enough

function nameGroups(node, traces) {
  const { xaxis, yaxis } = node._fullLayout ?? {};
  let layer = node.querySelector(".cpc-names");
  if (!layer) {
    layer = Object.assign(document.createElement("div"), { className: "cpc-names" });
    layer.setAttribute("aria-hidden", "true"); // the legend says the same
  }
  const labels = node.querySelector(".hoverlayer").ownerSVGElement; // of what is pointed at: they lie over the names
  if (layer.nextElementSibling !== labels) labels.before(layer);
  layer.style.transform = "";
  layer.replaceChildren();
  const shown = new Set(node._fullData.filter((trace) => trace.visible === true).map((trace) => trace.uid));
  const named = traces.filter(({ meta, uid }) => meta?.densest && shown.has(uid));
  if (!xaxis || new Set(named.map(({ meta }) => meta.group)).size < 2) return;
  const taken = [];
  for (const { meta } of named.sort((one, other) => other.meta.count - one.meta.count)) {
    const [x, y] = [xaxis.d2p(meta.densest[0]), yaxis.d2p(meta.densest[1])];
    if (x < 0 || x > xaxis._length || y < 0 || y > yaxis._length) continue; // outside what is seen
    const text = meta.group.length > LONGEST ? `${meta.group.slice(0, LONGEST - 1)}…` : meta.group;
    const name = Object.assign(document.createElement("span"), { textContent: text });
    layer.append(name);
    const [width, height] = [name.offsetWidth, name.offsetHeight];
    const within = (place, size, length) => Math.min(Math.max(place - size / 2, GAP), length - size - GAP);
    const [left, top] = [within(x, width, xaxis._length), within(y - height / 2 - ABOVE, height, yaxis._length)];
    const box = { left, top, width, height };
    const meets = (other) =>
      (other.group === meta.group && Math.hypot(box.left - other.left, box.top - other.top) < APART) ||
      (box.left < other.left + other.width + GAP &&
        other.left < box.left + width + GAP &&
        box.top < other.top + other.height + GAP &&
        other.top < box.top + height + GAP);
    if (taken.some(meets)) {
      name.remove();
      continue;
    }
    taken.push({ ...box, group: meta.group });
    Object.assign(name.style, { left: `${xaxis._offset + box.left}px`, top: `${yaxis._offset + box.top}px` });
  }
}
