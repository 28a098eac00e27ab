// One plotly chart that stays the same DOM node while its data change, so that zoom and hidden traces survive.
// Streamlit calls the default export on every new `data` and on every change of theme; what it returns runs on unmount.

const charts = new WeakMap(); // node → {data, frame, observer}
let Plotly = null; // our own: st.plotly_chart brings another version and puts that into the global of this name
let loading = null; // one promise for all charts of the page
let asker = null; // the one chart whose Python side was asked to send plotly.js as text
let tellMissing, supply;
const missing = new Promise((resolve) => (tellMissing = resolve));
const supplied = new Promise((resolve) => (supply = resolve));

function run(url) {
  return new Promise((resolve, reject) => {
    const before = globalThis.Plotly;
    const script = Object.assign(document.createElement("script"), { src: url });
    script.onload = () => {
      // Without static serving the address answers with Streamlit's page, which loads but is no script.
      if (globalThis.Plotly === before) return reject(new Error(`no Plotly in ${url}`));
      Plotly = globalThis.Plotly;
      resolve();
    };
    script.onerror = () => reject(new Error(`cannot load ${url}`));
    document.head.append(script);
  });
}

async function runText(text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    await run(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

// The file under app/static/ where there is one. Else Python sends the text, once it is told that it is needed.
function load(url) {
  loading ??= (url ? run(url) : Promise.reject(new Error("no file"))).catch(() => {
    tellMissing();
    return supplied.then(runText);
  });
  return loading;
}

function themed(node) {
  const style = getComputedStyle(node);
  const get = (name) => style.getPropertyValue(`--st-${name}`).trim();
  const text = get("text-color");
  const axis = { gridcolor: get("border-color-light"), linecolor: get("border-color"), zeroline: false, automargin: true };
  const clear = "rgba(0,0,0,0)";
  return {
    layout: {
      colorway: get("chart-categorical-colors").split(/,(?![^(]*\))/),
      font: { color: text, family: get("font"), size: 13 },
      title: { font: { size: 16, weight: 600 } },
      paper_bgcolor: clear,
      plot_bgcolor: clear,
      xaxis: axis,
      yaxis: axis,
      hoverlabel: { bgcolor: get("background-color"), bordercolor: get("border-color"), font: { color: text } },
      legend: { bgcolor: clear },
      modebar: { bgcolor: clear, color: get("gray-text-color"), activecolor: text },
    },
  };
}

function draw(node, key) {
  const chart = charts.get(node);
  chart.frame = 0;
  if (!Plotly || !node.isConnected || node.clientWidth === 0) return; // hidden: drawn when it gets a width
  if (node._dragging) return later(node, key); // redrawing under a held mouse would end the drag
  const { figure } = chart.data;
  const layout = structuredClone(figure.layout ?? {}); // plotly writes into what it is given
  layout.uirevision ??= key;
  layout.template = themed(node);
  layout.width = node.clientWidth;
  layout.height = node.clientHeight;
  Plotly.react(node, figure.data, layout, {
    displaylogo: false,
    showSendToCloud: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d"],
    ...figure.config,
  });
}

// At most one redraw per frame, with the newest data; none at all in a browser tab that nobody sees.
function later(node, key) {
  const chart = charts.get(node);
  if (chart) chart.frame ||= requestAnimationFrame(() => draw(node, key));
}

export default function ({ parentElement, data, key, setStateValue }) {
  const node = parentElement.querySelector(".cpc-live-chart");
  const known = charts.get(node);
  const chart = known ?? { frame: 0, observer: new ResizeObserver(() => later(node, key)) };
  chart.data = data;
  node.style.height = `${data.height}px`;
  node.setAttribute("aria-label", data.alt);
  if (!known) {
    charts.set(node, chart);
    chart.observer.observe(node);
  }

  if (data.text) supply(data.text);
  load(data.url).then(() => {
    later(node, key);
    if (asker !== node) return;
    asker = null;
    setStateValue("plotly", "loaded"); // the text is not sent again
  });
  missing.then(() => {
    if (Plotly || asker || !charts.has(node)) return;
    asker = node;
    setStateValue("plotly", "missing");
  });

  return () => {
    if (asker === node) asker = null; // the next chart may ask
    cancelAnimationFrame(chart.frame);
    chart.observer.disconnect();
    charts.delete(node);
    Plotly?.purge(node);
  };
}
