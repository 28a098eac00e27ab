// A map of points (role "map") and small parts elsewhere on the page that speak with it (role "port"). What changes often,
// the marked points, the card and the points that are lit up, travels through ports, each in a Streamlit fragment of its
// own, without the map's data being sent again. Ports and map find each other by `link`. Maps of one `group` mark the same
// points, by id, and a port whose link is the group's name speaks for all of them; a map alone is a group of its own.

const DWELL = 250; // ms over a point before its card comes
const PATIENCE = 2000; // ms until Python is asked again
const MANY = 5000; // points, above which plotly's own way of moving them is too slow
const maps = new Map(); // link → {node, data, drawing, …}
const ports = new Map(); // element → {link, hears, tell, data, element}
const marks = new Map(); // group → {ids: Set, n}, the points marked last
const heard = new Map(); // group → number of the newest lasso that Python has heard of
const lit = new Map(); // element of a port → {link, traces}
const answers = new Map(); // "link id" → item, of cards seen before
let hovered = null; // {link, id, at, pressed}: the point under the pointer
let picking = null; // {link, id}: the click that Python is told of when it has answered with the point's card
let count = Date.now(); // rises with everything told to Python, over reloads too
let dwell = 0;
let leaving = 0;

const groupOf = (link) => maps.get(link)?.data?.group ?? link;

function tell(link, kind, value) {
  for (const port of ports.values()) if (port.link === link && port.hears.includes(kind)) port.tell(kind, value);
}

const hostOf = (link) =>
  [...ports.values()].find((port) => port.link === link && port.hears.includes("hovered"))?.element;

// Any point in reach: its title at once, its card when Python answers. Where there are no cards plotly's label names it.
function ask(link, point, at, pressed) {
  const host = hostOf(link);
  const id = point.customdata;
  if (pressed) picking = { link, id };
  if (!host) return pick(link, id);
  const known = answers.get(`${link} ${id}`);
  hovered = { link, id, at, pressed: pressed && !known };
  showCard(host, known ?? { id, title: point.data.name ?? "" }, at);
  if (!known) return inquire(link, id, 3);
  if (pressed) press(host, known);
  pick(link, id);
}

// Streamlit drops what a fragment says if the next message comes in the moment in which it ends: one thing is told at a
// time, and again if no answer comes.
function inquire(link, id, times) {
  const open = [hovered, picking].some((point) => point?.link === link && point.id === id);
  if (!open || answers.has(`${link} ${id}`)) return;
  if (times === 0) return pick(link, id);
  tell(link, "hovered", { id, n: ++count });
  setTimeout(() => inquire(link, id, times - 1), PATIENCE);
}

function pick(link, id) {
  if (picking?.link !== link || picking.id !== id) return;
  picking = null;
  tell(groupOf(link), "clicked", { id, n: ++count });
}

// Told again, too, until Python has named it or there is a newer one.
function sayLasso(group, lasso, times) {
  if (times === 0 || heard.get(group) >= lasso.n || marks.get(group)?.n !== lasso.n) return;
  tell(group, "lassoed", lasso);
  setTimeout(() => sayLasso(group, lasso, times - 1), PATIENCE);
}

function answered(port) {
  const { card } = port.data;
  if (!card) return;
  answers.set(`${port.link} ${card.id}`, card);
  if (answers.size > 300) answers.delete(answers.keys().next().value);
  pick(port.link, card.id);
  if (hovered?.link !== port.link || hovered.id !== card.id) return; // the pointer has moved on
  showCard(port.element, card, hovered.at);
  if (hovered.pressed) press(port.element, card);
  hovered.pressed = false;
}

function mark(group, ids, n) {
  marks.set(group, { ids: new Set(ids), n });
  for (const [link, chart] of maps) if (groupOf(link) === group) chart.drawing.later();
}

function listen(link, chart) {
  const { node } = chart;
  let at = { x: 0, y: 0 }; // where the pointer is, while a button is down where it went down
  const flat = () => Boolean(chart.data.figure.layout.xaxis);
  // On a plane hovering and clicking mean the same dot, the nearest one: plotly's choice among dots that overlap is another.
  const under = () => {
    const box = node.getBoundingClientRect();
    return nearest(node, [at.x - box.left, at.y - box.top]);
  };
  let over = null; // id of the dot under the pointer
  const hide = () => {
    hideCard();
    hovered = null;
  };
  const point = (found) => {
    const id = found?.customdata ?? null;
    if (id === over) return;
    over = id;
    clearTimeout(dwell);
    clearTimeout(leaving);
    if (!found) return (leaving = setTimeout(hide, 200));
    if (hovered?.link === link && hovered.id === id) return;
    hide();
    dwell = setTimeout(() => ask(link, found, { ...at }, false), DWELL);
  };
  const click = (found) => {
    clearTimeout(dwell);
    clearTimeout(leaving);
    if (!found) return hide();
    ask(link, found, { ...at }, true);
  };
  const ours = (event) => event.points?.find((one) => one.customdata != null);
  const moved = (event) => {
    if (event.type === "pointermove" && event.buttons) return;
    at = { x: event.clientX, y: event.clientY };
    if (flat() && !event.buttons) point(event.target.closest?.(".nsewdrag") ? under() : null);
  };
  node.addEventListener("pointermove", moved, true);
  node.addEventListener("pointerdown", moved, true);
  node.on("plotly_hover", (event) => flat() || point(ours(event)));
  node.on("plotly_unhover", () => flat() || point(null));
  node.on("plotly_click", (event) => click(flat() ? under() : ours(event)));
  node.addEventListener("pointerleave", () => point(null));
  const name = () => nameGroups(node, chart.data.figure.data);
  node.on("plotly_afterplot", name);
  node.on("plotly_relayouting", name);
  const choose = (ids) => {
    const group = groupOf(link);
    mark(group, ids, ++count);
    sayLasso(group, { ids, n: count }, 3);
  };
  const clear = () => marks.get(groupOf(link))?.ids.size && choose([]);
  const tools = { lasso: lassoOn(node, (inside) => choose(idsInside(node, inside)), clear) };
  if (node._fullData.reduce((sum, trace) => sum + (trace.customdata?.length ?? 0), 0) > MANY) tools.pan = panOn(node);
  listenForDrag(node, tools, {
    begin: () => {
      clearTimeout(dwell);
      hide();
      over = null;
    },
    click: () => click(under()),
  });
  // Plotly keeps what its own tools zoomed to over redraws, and forgets what ours moved to.
  node.on("plotly_relayout", (changes) => {
    if (!Object.keys(changes).some((name) => /^[xy]axis\./.test(name))) return;
    const { xaxis, yaxis } = node._fullLayout;
    chart.view = xaxis.autorange ? null : { xaxis: [...xaxis.range], yaxis: [...yaxis.range] };
  });
}

// The ids of a trace's points, decoded once: they come as base64 of int32.
const decoded = new WeakMap();
function idsOf(trace) {
  if (!trace.customdata) return [];
  if (!decoded.has(trace)) {
    const bytes = Uint8Array.from(atob(trace.customdata.bdata), (letter) => letter.charCodeAt(0));
    decoded.set(trace, new Int32Array(bytes.buffer));
  }
  return decoded.get(trace);
}

function traces(link, figure) {
  const chosen = marks.get(groupOf(link))?.ids;
  const selected = (trace) => {
    const rows = [];
    idsOf(trace).forEach((id, row) => chosen.has(id) && rows.push(row));
    return rows;
  };
  const flat = (trace) => trace.type !== "scatter3d"; // which knows no selection
  const small = maps.get(link).node.clientWidth < 500 ? 0.65 : 1; // a phone
  const own = figure.data.map((trace) => ({
    ...trace,
    marker: { ...trace.marker, size: trace.marker.size * small },
    ...(flat(trace) ? { selectedpoints: chosen?.size ? selected(trace) : null } : {}),
  }));
  return own.concat([...lit.values()].filter((over) => over.link === link).flatMap((over) => over.traces));
}

// Where letters grow while a map is drawn, plotly now and then leaves the legend where a smaller one had its place.
function legendOverDots(node) {
  const legend = node.querySelector(".legend")?.getBoundingClientRect();
  const dots = node.querySelector(".nsewdrag")?.getBoundingClientRect();
  return legend && dots && legend.top < dots.bottom - 1 && legend.left < dots.right && legend.bottom > dots.top;
}

function draw(link) {
  const chart = maps.get(link);
  if (!chart) return;
  const { node, data, drawing } = chart;
  if (!Plotly || !node.isConnected || node.clientWidth === 0) return;
  if (node._dragging) return drawing.later();
  const layout = structuredClone(data.figure.layout);
  Object.assign(layout, { template: themed(node), width: node.clientWidth, height: node.clientHeight });
  roomForButtons(layout);
  for (const axis in chart.view) Object.assign(layout[axis], { range: chart.view[axis], autorange: false });
  if (layout.xaxis) layout.dragmode = data.lasso ? "lasso" : "pan";
  // A finger that moves scrolls the page, unless its owner takes the lasso from the buttons.
  if (matchMedia("(pointer: coarse)").matches) layout.dragmode = false;
  const unused = ["toImage", "autoScale2d", "select2d", "resetCameraLastSave3d", "tableRotation"];
  Plotly.react(node, traces(link, data.figure), layout, {
    displaylogo: false,
    showSendToCloud: false,
    modeBarButtonsToRemove: data.lasso ? unused : [...unused, "lasso2d"],
    modeBarButtonsToAdd: pictureButtons(),
    ...data.figure.config,
  }).then(() => {
    oneStop(node);
    if (legendOverDots(node)) Plotly.redraw(node);
  });
  if (!chart.listening) listen(link, chart);
  chart.listening = true;
}

function map(element, { data, setStateValue }) {
  const { link } = data;
  let chart = maps.get(link);
  if (chart?.node !== element) {
    chart = { node: element, drawing: drawNear(element, () => draw(link)) };
    maps.set(link, chart);
  }
  if (chart.data?.figure.layout.uirevision !== data.figure.layout.uirevision) chart.view = null; // another map: in full
  const before = groupOf(link);
  chart.data = data;
  forgetMarks(before);
  element.style.height = typeof data.height === "number" ? `${data.height}px` : data.height;
  element.setAttribute("role", "figure");
  element.setAttribute("aria-label", data.alt);
  withPlotly(element, data, setStateValue, chart.drawing.later);
  return () => {
    withoutPlotly(element);
    chart.drawing.stop();
    hideCard();
    const group = groupOf(link);
    if (maps.get(link) === chart) maps.delete(link);
    forgetMarks(group);
    for (const key of [...answers.keys()]) if (key.startsWith(`${link} `)) answers.delete(key);
    Plotly?.purge(element);
  };
}

// What is marked goes with the last map of its group.
function forgetMarks(group) {
  if (![...maps.keys()].some((link) => groupOf(link) === group)) marks.delete(group);
}

// Python's word on which points are marked, unless the reader has drawn another lasso since.
function marked({ link, data }) {
  const { ids, n } = data.mark;
  heard.set(link, n);
  const now = marks.get(link);
  if (now ? n < now.n : !ids.length) return;
  if (now?.ids.size === ids.length && ids.every((id) => now.ids.has(id))) return;
  mark(link, ids, n);
}

function port(element, { data, setStateValue }) {
  const { link } = data;
  const own = { link, hears: data.hears, tell: setStateValue, data, element };
  ports.set(element, own);
  if (data.card !== undefined) answered(own);
  if (data.mark !== undefined) marked(own);
  if (data.lit && JSON.stringify(lit.get(element)?.traces) !== JSON.stringify(data.lit)) {
    lit.set(element, { link, traces: data.lit });
    maps.get(link)?.drawing.later();
  }
  return () => {
    ports.delete(element);
    if (card?.parentElement === element) hideCard();
    if (lit.delete(element)) maps.get(link)?.drawing.later();
  };
}

export default function ({ parentElement, data: [data], setStateValue }) {
  const element = parentElement.querySelector(".cpc-scatter");
  return (data.role === "map" ? map : port)(element, { data, setStateValue });
}
