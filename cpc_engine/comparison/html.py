"""Reports as one self-contained HTML file that needs no server, network, or other file.

All text is escaped, because names of runs, classes, and files are untrusted input. A content security policy keeps the
page from loading anything.
"""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Chart:
    """A plotly figure as a plain dict, with alternative text for screen readers and browsers without JavaScript."""

    figure: Mapping[str, Any]
    alt: str
    height: int = 340


@dataclass(frozen=True)
class Image:
    """A PNG image with alternative text."""

    png: bytes
    alt: str


@dataclass(frozen=True)
class Section:
    """A section: heading, text, tables, images, charts (side by side if the page is wide enough), titled code."""

    title: str
    text: str = ""
    tables: Sequence[Columns] = ()
    images: Sequence[Image] = ()
    charts: Sequence[Chart] = ()
    code: Sequence[tuple[str, str]] = ()


# 'unsafe-eval' is for WebGL charts, whose shaders plotly.js compiles with Function(). Nothing can be loaded regardless.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src 'unsafe-inline'; img-src data: blob:"
)
STYLE = """
:root { color-scheme: light dark; --text: #18212b; --back: #fcfcfa; --line: #cfd6d8; --soft: #f0f2f1; }
@media (prefers-color-scheme: dark) { :root { --text: #e6ebf0; --back: #10161d; --line: #35424f; --soft: #1b242e; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 72rem; margin: 0 auto; padding: 2rem 1rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.9rem; margin: 0.5rem 0 1rem; }
th, td { border: 1px solid var(--line); padding: 0.3rem 0.6rem; text-align: left; vertical-align: top; }
th { background: var(--soft); white-space: nowrap; }
@media (max-width: 50rem) { table { width: max-content; } td { max-width: 24rem; } }
pre { background: var(--soft); padding: 0.8rem; overflow: auto; max-height: 24rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem; }
figure { margin: 0; min-width: 0; } figure h3 { margin: 0.5rem 0; font-size: 1rem; }
img { max-width: 100%; background: #fff; }
figcaption { font-size: 0.85rem; opacity: 0.8; }
"""
DRAW = """
const draw = () => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { gridcolor: css("--line"), linecolor: css("--line"), zeroline: false, automargin: true };
  const back = css("--back"), font = { color: css("--text"), family: "system-ui, sans-serif", size: 13 };
  for (const node of document.querySelectorAll(".chart")) {
    const figure = JSON.parse(node.nextElementSibling.textContent);
    const template = { layout: { paper_bgcolor: back, plot_bgcolor: back, font, xaxis: axis, yaxis: axis } };
    Plotly.react(node, figure.data, { ...figure.layout, template }, { displaylogo: false, responsive: true });
  }
};
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
"""


def html_report(title: str, sections: Sequence[Section]) -> str:
    """Return the content of the HTML file; plotly.js is embedded if a section has a chart.

    Example:
        >>> page = html_report("Runs", [Section("Metrics", tables=[{"run": ["a"], "loss": [1.5]}])])
        >>> "<td>1.5</td>" in page
        True
    """
    charts = any(section.charts for section in sections)
    scripts = f"<script>{_plotly()}</script>\n<script>{DRAW}</script>" if charts else ""
    body = "\n".join(_section(section) for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>Made by CPC Lab on {time.strftime("%Y-%m-%d at %H:%M")}. The file is self-contained and loads nothing.</p>
{body}
{scripts}
</body>
</html>
"""


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>"]
    parts += [f"<p>{escape(section.text)}</p>"] if section.text else []
    parts += [_table(columns) for columns in section.tables]
    parts += [_image(image) for image in section.images]
    if section.charts:
        parts.append(f'<div class="charts">{"".join(_chart(chart) for chart in section.charts)}</div>')
    for name, text in section.code:
        parts.append(f"<h3>{escape(name)}</h3><pre><code>{escape(text)}</code></pre>")
    return "\n".join(parts)


def _table(columns: Columns) -> str:
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in columns)
    rows = [
        f"<tr>{''.join(f'<td>{escape(_cell(value))}</td>' for value in row)}</tr>"
        for row in zip(*columns.values(), strict=True)
    ]
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _chart(chart: Chart) -> str:
    # Above the chart and not in it, where a long title is cut off and lies over a legend of several lines.
    layout = {key: value for key, value in chart.figure["layout"].items() if key != "title"}
    title = chart.figure["layout"].get("title", {}).get("text", "")
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    alt = escape(chart.alt)
    figure = json.dumps({"data": chart.figure["data"], "layout": layout}, allow_nan=False)
    figure = figure.replace("<", "\\u003c")  # so that no text ends the script element that holds it
    return (
        f'<figure>{heading}<div class="chart" role="img" aria-label="{alt}" style="height: {chart.height}px"></div>'
        f'<script type="application/json">{figure}</script><figcaption>{alt}</figcaption></figure>'
    )


def _image(image: Image) -> str:
    alt, content = escape(image.alt), b64encode(image.png).decode()
    return f'<figure><img src="data:image/png;base64,{content}" alt="{alt}"><figcaption>{alt}</figcaption></figure>'


@cache
def _plotly() -> str:
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("plotly is not installed")
    path = Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    text = path.read_text(encoding="utf-8")
    # Strings in plotly.js must not end the script element of the page.
    return re.sub(r"<(?=/script|!--)", r"\\x3c", text, flags=re.IGNORECASE)
