// One plotly chart that stays the same DOM node while its data change, so that zoom and hidden traces survive.
// Streamlit calls the default export on every new `data` and on every change of theme; what it returns runs on unmount.

const charts = new WeakMap(); // node → {data, key, drawing}
const companies = new Map(); // word → nodes of the charts that are read together

function draw(node) {
  const { data, key, drawing } = charts.get(node);
  if (!Plotly || !node.isConnected || node.clientWidth === 0) return; // hidden: drawn when it gets a width
  if (node._dragging) return drawing.later(); // redrawing under a held mouse would end the drag
  const { figure } = data;
  const layout = structuredClone(figure.layout ?? {}); // plotly writes into what it is given
  layout.uirevision ??= key;
  layout.template = themed(node);
  layout.width = node.clientWidth;
  layout.height = node.clientHeight;
  if (layout.xaxis?.automargin === false) {
    for (const side in layout.margin) layout.margin[side] *= letters(); // plotly keeps no room by itself
  }
  roomForButtons(layout);
  for (const note of layout.annotations ?? []) {
    if (note.font?.size) note.font.size *= letters();
    if (note.yshift) note.yshift *= letters();
  }
  const config = {
    displaylogo: false,
    showSendToCloud: false,
    modeBarButtonsToRemove: ["toImage", "lasso2d", "select2d"],
    modeBarButtonsToAdd: pictureButtons(),
    ...figure.config,
  };
  Plotly.react(node, figure.data, layout, config)
    .then(() => roomForLegend(node, layout) && Plotly.react(node, figure.data, layout, config))
    .then(() => {
      oneStop(node);
      if (data.together) readTogether(node, data.together);
    });
}

// A legend above the plot breaks into more lines where the chart is narrow or its letters are large; then it would be
// printed over the title. Whether there was too little room; the layout then has enough.
function roomForLegend(node, layout) {
  const legend = node._fullLayout?.legend;
  if (!layout.title?.text || layout.legend?.yanchor !== "bottom" || !legend?._height) return false;
  const title = 22 * letters() + (layout.title.pad?.t ?? 0);
  const above = 0.02 * (node.clientHeight - layout.margin.t - layout.margin.b); // the legend's own distance
  const needed = Math.ceil(title + legend._height + above);
  if (layout.margin.t >= needed) return false;
  layout.margin.t = needed;
  return true;
}

// Pointing at one chart shows what the others of its company have at the same x.
function readTogether(node, word) {
  if (!companies.has(word)) companies.set(word, new Set());
  const company = companies.get(word);
  if (company.has(node)) return;
  company.add(node);
  const others = () => [...company].filter((other) => other !== node && other.isConnected && other._fullLayout);
  node.on("plotly_hover", ({ xvals }) => {
    for (const other of others()) Plotly.Fx.hover(other, { xval: xvals[0] }, "xy", true); // true: it tells no one
  });
  node.on("plotly_unhover", () => others().forEach((other) => Plotly.Fx.unhover(other)));
}

export default function ({ parentElement, data: [data], key, setStateValue }) {
  const node = parentElement.querySelector(".cpc-live-chart");
  const chart = charts.get(node) ?? { drawing: drawNear(node, () => draw(node)) };
  charts.set(node, Object.assign(chart, { data, key }));
  node.style.height = typeof data.height === "number" ? `${data.height}px` : data.height;
  node.setAttribute("aria-label", data.alt);

  withPlotly(node, data, setStateValue, chart.drawing.later);

  return () => {
    withoutPlotly(node);
    chart.drawing.stop();
    charts.delete(node);
    companies.get(data.together)?.delete(node);
    Plotly?.purge(node);
  };
}
