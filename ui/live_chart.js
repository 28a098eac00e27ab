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

// Charts of one `link` mark the same points: those whose customdata[0] was chosen with lasso or box on any of them.
const links = new Map(); // link → Set of ids, or absent

function mark(figure, link) {
  const ids = links.get(link);
  return figure.data.map((trace) => ({
    ...trace,
    selectedpoints: ids && (trace.customdata ?? []).flatMap(([id], index) => (ids.has(id) ? [index] : [])),
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

// A picture on the page's own background: a transparent one is unreadable elsewhere.
function save(node, format) {
  const style = getComputedStyle(node);
  const layout = { ...node.layout, paper_bgcolor: style.getPropertyValue("--st-background-color").trim() || "#fff" };
  const filename = (node.layout.title?.text ?? "chart").replace(/[^\w]+/g, "-").toLowerCase();
  const { clientWidth: width, clientHeight: height } = node;
  return Plotly.downloadImage({ data: node.data, layout }, { format, filename, width, height, scale: 2 });
}

// Made once: Plotly takes new functions for a new configuration and draws everything again, without the zoom.
let pictures = null;
function pictureButtons() {
  pictures ??= ["png", "svg"].map((format) => ({
    name: `Download as ${format.toUpperCase()}`,
    icon: Plotly.Icons.camera,
    click: (node) => save(node, format),
  }));
  return pictures;
}

function draw(node, key) {
  const chart = charts.get(node);
  chart.frame = 0;
  if (!Plotly || !node.isConnected || node.clientWidth === 0) return; // hidden: drawn when it gets a width
  if (node._dragging) return later(node, key); // redrawing under a held mouse would end the drag
  const { figure } = chart.data;
  const layout = structuredClone(figure.layout ?? {}); // plotly writes into what it is given
  layout.uirevision ??= key;
  layout.selectionrevision = chart.selection;
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
  chart.key = key;
  chart.tellPython = setStateValue;
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
    linked.delete(node);
    if (![...linked.values()].some((other) => other.data.link === chart.data.link)) links.delete(chart.data.link);
    Plotly?.purge(node);
  };
}
