// One plotly chart that stays the same DOM node while its data change, so that zoom and hidden traces survive.
// Streamlit calls the default export on every new `data` and on every change of theme; what it returns runs on unmount.

const charts = new WeakMap(); // node → {data, key, drawing}

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
  for (const note of layout.annotations ?? []) if (note.font?.size) note.font.size *= letters();
  Plotly.react(node, figure.data, layout, {
    displaylogo: false,
    showSendToCloud: false,
    modeBarButtonsToRemove: ["toImage", "lasso2d", "select2d"],
    modeBarButtonsToAdd: pictureButtons(),
    ...figure.config,
  }).then(() => oneStop(node));
}

export default function ({ parentElement, data, key, setStateValue }) {
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
    Plotly?.purge(node);
  };
}
