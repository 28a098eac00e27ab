// Loads plotly.js once per page and gives its charts the page's own look; put before the script of each component.

let Plotly = null; // our own: st.plotly_chart brings another version and puts that into the global of this name
let loading = null; // one promise for all charts of the page
const waiting = new Map(); // node → {ready, setStateValue}, of charts that came before plotly.js
let missing = false; // whether there is no file to load it from
let asker = null; // the one of them whose Python side was asked to send plotly.js as text
let supply;
const supplied = new Promise((resolve) => (supply = resolve));

// Once for all kinds of charts, and for the page that loads it ahead of them.
async function run(url) {
  globalThis.cpcPlotly ??= new Promise((resolve, reject) => {
    const before = globalThis.Plotly;
    const script = Object.assign(document.createElement("script"), { src: url });
    script.onload = () => {
      // Without static serving the address answers with Streamlit's page, which loads but is no script.
      if (globalThis.Plotly === before) return reject(new Error(`no Plotly in ${url}`));
      resolve(globalThis.Plotly);
    };
    script.onerror = () => reject(new Error(`cannot load ${url}`));
    document.head.append(script);
  });
  try {
    Plotly = await globalThis.cpcPlotly;
  } catch (error) {
    globalThis.cpcPlotly = undefined; // it may come another way
    throw error;
  }
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
async function load(url) {
  try {
    await (url ? run(url) : Promise.reject(new Error("no file")));
  } catch {
    missing = true;
    askForText();
    const text = await supplied;
    waiting.get(asker)?.setStateValue("plotly", "received"); // at once, for each refresh until then sends it again
    await runText(text);
  }
  for (const { ready } of waiting.values()) ready();
  waiting.clear();
}

function askForText() {
  if (Plotly || asker || !waiting.size) return;
  [asker] = waiting.keys();
  waiting.get(asker).setStateValue("plotly", "missing");
}

// Call `ready` once plotly.js is there, by way of Python's text where there is no file.
function withPlotly(node, data, setStateValue, ready) {
  if (Plotly) return ready();
  waiting.set(node, { ready, setStateValue });
  if (data.text) supply(data.text);
  loading ??= load(data.url);
  if (missing) askForText();
}

function withoutPlotly(node) {
  waiting.delete(node);
  if (asker !== node) return;
  asker = null; // the next chart asks
  if (missing) askForText();
}

function themed(node) {
  const style = getComputedStyle(node);
  const get = (name) => style.getPropertyValue(`--st-${name}`).trim();
  const text = get("text-color");
  const size = 13 * letters();
  const axis = { title: { font: { size } }, gridcolor: get("border-color-light"), linecolor: get("border-color"), zeroline: false, automargin: true };
  const clear = "rgba(0,0,0,0)";
  return {
    layout: {
      colorway: get("chart-categorical-colors").split(/,(?![^(]*\))/),
      font: { color: text, family: get("font"), size },
      title: { font: { size: 16 * letters(), weight: 600 } },
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

// Letters as large as the page's: presentation mode enlarges those.
const letters = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 || 1;

// Where nothing hovers, as under a finger, the buttons of a chart are always there: they get a line above its title.
const BUTTONS = 30; // px
function roomForButtons(layout) {
  if (!matchMedia("(hover: none)").matches || layout.margin?.t === undefined) return;
  layout.margin = { ...layout.margin, t: layout.margin.t + BUTTONS };
  if (!layout.title?.text) return;
  layout.title = { ...layout.title, pad: { ...layout.title.pad, t: (layout.title.pad?.t ?? 0) + BUTTONS } };
}

// The buttons over a chart are one stop for the Tab key; arrows, Home and End move among them.
function oneStop(node) {
  const bar = node.querySelector(".modebar");
  if (!bar) return;
  const buttons = [...bar.querySelectorAll(".modebar-btn")];
  const stop = (chosen) => buttons.forEach((button) => (button.tabIndex = button === chosen ? 0 : -1));
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "Tools of this chart");
  stop(buttons.includes(document.activeElement) ? document.activeElement : buttons[0]);
  bar.onkeydown = (event) => {
    const at = buttons.indexOf(document.activeElement);
    const last = buttons.length - 1;
    const next = { ArrowRight: at < last ? at + 1 : 0, ArrowLeft: at > 0 ? at - 1 : last, Home: 0, End: last }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    stop(buttons[next]);
    buttons[next].focus();
  };
}

// The names that lie over a map, as a part of the chart: a saved picture has nothing of what lies over it.
function namesOver(node, paper) {
  const { xaxis, yaxis } = node._fullLayout;
  return [...node.querySelectorAll(".cpc-names span")].map((name) => {
    const { color, fontFamily, fontSize, fontWeight } = getComputedStyle(name);
    return {
      text: name.textContent.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]),
      x: xaxis.p2d(name.offsetLeft + name.offsetWidth / 2 - xaxis._offset),
      y: yaxis.p2d(name.offsetTop + name.offsetHeight / 2 - yaxis._offset),
      showarrow: false,
      font: { color, family: fontFamily, size: parseFloat(fontSize), weight: Number(fontWeight) },
      bgcolor: /^#\w{6}$/.test(paper) ? `${paper}b8` : paper, // dots show through, as on the page
    };
  });
}

// A picture on the page's own background: a transparent one is unreadable elsewhere.
function save(node, format) {
  const style = getComputedStyle(node);
  const paper = style.getPropertyValue("--st-background-color").trim() || "#fff";
  const annotations = [...(node.layout.annotations ?? []), ...namesOver(node, paper)];
  const layout = { ...node.layout, paper_bgcolor: paper, annotations };
  const data = node.data.map(({ uid, ...trace }) => trace); // plotly looks for a color bar by it, and fails at a space
  const filename = (node.layout.title?.text || "chart").replace(/[^\w]+/g, "-").toLowerCase();
  const { clientWidth: width, clientHeight: height } = node;
  return Plotly.downloadImage({ data, layout }, { format, filename, width, height, scale: 2 });
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
