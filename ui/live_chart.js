// One plotly chart that stays the same DOM node while its data change, so that zoom and hidden traces survive.
// Streamlit calls the default export on every new `data` and on every change of theme; what it returns runs on unmount.

const AHEAD = 300; // pixels from what is seen at which a chart is drawn, so that it is there when one comes
const charts = new WeakMap(); // node → {data, frame, near, observer, view}

// Charts of one `link` mark the same points: those whose customdata[0] was chosen with lasso or box on any of them.
const links = new Map(); // link → Set of ids, or absent

function mark(figure, link) {
  const ids = links.get(link);
  return figure.data.map((trace) => ({
    ...trace,
    selectedpoints: ids
      ? (trace.customdata ?? []).flatMap(([id], index) => (ids.has(id) ? [index] : []))
      : trace.selectedpoints, // chosen on the page instead
  }));
}

function listen(node) {
  const tell = (event) => {
    const { data, tellPython } = charts.get(node) ?? {};
    if (!data?.link) return;
    const ids = event?.points?.map((point) => point.customdata[0]);
    if (!ids && !links.has(data.link)) return;
    if (ids) links.set(data.link, new Set(ids));
    else links.delete(data.link);
    for (const [other, chart] of linked) {
      if (chart.data.link !== data.link || other === node) continue;
      chart.selection = (chart.selection ?? 0) + 1; // its own lasso is over
      later(other, chart.key);
    }
    tellPython("selected", ids ?? []);
  };
  node.on("plotly_selected", tell);
  node.on("plotly_deselect", () => tell());
}
const linked = new Map(); // node → chart, of those that have a link

function draw(node, key) {
  const chart = charts.get(node);
  chart.frame = 0;
  if (!Plotly || !node.isConnected || node.clientWidth === 0) return; // hidden: drawn when it gets a width
  if (node._dragging) return later(node, key); // redrawing under a held mouse would end the drag
  const { figure } = chart.data;
  const layout = structuredClone(figure.layout ?? {}); // plotly writes into what it is given
  layout.uirevision ??= key;
  layout.selectionrevision = `${chart.data.link} ${chart.selection}`;
  layout.template = themed(node);
  layout.width = node.clientWidth;
  layout.height = node.clientHeight;
  const { link } = chart.data;
  Plotly.react(node, link ? mark(figure, link) : figure.data, layout, {
    displaylogo: false,
    showSendToCloud: false,
    modeBarButtonsToRemove: ["toImage", ...(link ? [] : ["lasso2d", "select2d"])],
    modeBarButtonsToAdd: pictureButtons(),
    ...figure.config,
  });
  if (link && !linked.has(node)) listen(node);
  if (link) linked.set(node, chart);
}

// At most one redraw per frame, with the newest data; none at all in a browser tab that nobody sees, and none of a chart
// that is scrolled away: on a busy processor redrawing takes time from training.
function later(node, key) {
  const chart = charts.get(node);
  if (chart?.near) chart.frame ||= requestAnimationFrame(() => draw(node, key));
}

function watch(node, key) {
  const chart = { frame: 0, near: false, observer: new ResizeObserver(() => later(node, key)) };
  chart.view = new IntersectionObserver(
    (entries) => {
      chart.near = entries.at(-1).isIntersecting;
      later(node, key);
    },
    // Streamlit scrolls a box within the window, and there may be more boxes within that one: each has a margin.
    { rootMargin: `${AHEAD}px`, scrollMargin: `${AHEAD}px` },
  );
  charts.set(node, chart);
  chart.observer.observe(node);
  chart.view.observe(node);
  return chart;
}

export default function ({ parentElement, data, key, setStateValue }) {
  const node = parentElement.querySelector(".cpc-live-chart");
  const chart = charts.get(node) ?? watch(node, key);
  chart.data = data;
  chart.key = key;
  chart.tellPython = setStateValue;
  node.style.height = `${data.height}px`;
  node.setAttribute("aria-label", data.alt);

  withPlotly(node, data, setStateValue, () => later(node, key));

  return () => {
    withoutPlotly(node);
    cancelAnimationFrame(chart.frame);
    chart.observer.disconnect();
    chart.view.disconnect();
    charts.delete(node);
    linked.delete(node);
    if (![...linked.values()].some((other) => other.data.link === chart.data.link)) links.delete(chart.data.link);
    Plotly?.purge(node);
  };
}
