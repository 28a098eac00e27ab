"""What the reader exports: one HTML file with everything that the page shows, commands and configurations."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cpc_engine.comparison.arms import Arm
from cpc_engine.comparison.commands import cli_command
from cpc_engine.comparison.html import Chart, Section, html_report
from cpc_engine.comparison.judge import EXPLANATION
from cpc_engine.comparison.standings import Standing, data_note, standings, titles
from cpc_engine.comparison.tables import differences, metrics_csv_columns, metrics_table, overview, shown_metrics
from cpc_engine.evaluation.metric_info import describe_metric

from ..drawing.charts import Figure
from ..drawing.curves import spoken
from .curves import PAIRED
from .negatives import MEANING as MEANING_OF_NEGATIVES
from .negatives import Drawn, negatives_charts
from .plane import MEANING


def commands(arms: Sequence[Arm]) -> str:
    """Shell commands that train every run again."""
    lines = []
    for arm in arms:
        lines.append(f"# {arm.letter}")
        if arm.begins:
            lines.append(
                f"# forks that began at step {arm.begins} (see cpc fork; a command begins with the first step)"
            )
        lines += [
            f"# by hand at step {step}: {setting} = {value} (a command cannot repeat that)"
            for step, setting, value in arm.changes
        ]
        lines += [cli_command(run.config) for run in arm.runs]
    return "\n".join(lines) + "\n"


def configurations(arms: Sequence[Arm]) -> str:
    """{run: configuration} of every run."""
    return json.dumps({run.id: run.config.to_dict() for arm in arms for run in arm.runs}, indent=2)


def latex_table(arms: Sequence[Arm], primary: str) -> str:
    """A table for a paper: one row per metric that is tested, the primary one first, mean ± half width of each arm."""
    names = shown_metrics(arms, primary)
    found = [standings(arms, name) for name in names]
    lines = [f"\\begin{{tabular}}{{l{'r' * len(arms)}}}", r"\toprule"]
    lines.append(" & ".join(["Metric", *map(_latex, titles(arms))]) + r" \\")
    lines.append(r"\midrule")
    for name, row in zip(names, found, strict=True):
        metric = describe_metric(name)
        title = f"{metric.title} ({metric.unit})" if metric.unit else metric.title
        lines.append(" & ".join([_latex(title), *map(_mean, row)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _mean(one: Standing) -> str:
    if one.mean is None:
        return "--"
    return f"${one.mean:.4g}$" if one.half is None else f"${one.mean:.4g} \\pm {one.half:.2g}$"


def _latex(text: str) -> str:
    """Text with the marks of LaTeX escaped."""
    marks = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    marks |= {mark: f"\\{mark}" for mark in "&%$#_{}"}
    return "".join(marks.get(mark, mark) for mark in text)


def report(
    arms: Sequence[Arm],
    baseline: Arm,
    primary: str,
    curves: Sequence[Figure],
    maps: Sequence[tuple[Figure, str]],
    planes: Sequence[tuple[Figure, str]] = (),
    forks: Sequence[Figure] = (),
    negatives: Sequence[Drawn] = (),
) -> str:
    """The report: `maps` and `planes` are figures with their text alternatives; the others speak for themselves."""
    names = " against ".join(arm.name for arm in arms[:4])
    sections = [
        Section("Arms", tables=[overview(arms)]),
        Section(
            "What differs",
            "" if len(arms) > 1 else "There is only one arm.",
            tables=[differences(arms)] if len(arms) > 1 else [],
        ),
        Section(
            "Which is better",
            f"{data_note(arms)} {EXPLANATION}".strip(),
            tables=[metrics_table(arms, baseline, primary, every=True)],
        ),
        Section("Curves", charts=[Chart(figure, spoken(figure)) for figure in curves]),
    ]
    if forks:
        charts = [Chart(figure, spoken(figure)) for figure in forks]
        sections.append(Section("Forks against their controls", PAIRED, charts=charts))
    if negatives:
        text = f"Of one run of each arm: {'; '.join(run.title for run in negatives)}. {MEANING_OF_NEGATIVES}"
        charts = [Chart(figure, alt) for figure, alt in negatives_charts(negatives)]
        sections.append(Section("Negatives over training", text, charts=charts))
    if planes:
        charts = [Chart(figure, alt, 420) for figure, alt in planes]
        sections.append(Section("Alignment and uniformity", MEANING, charts=charts))
    if maps:
        text = "Held-out items where each run puts them. Distances between groups mean little."
        sections.append(Section("Maps", text, charts=[Chart(figure, alt, 480) for figure, alt in maps]))
    sections += [
        Section("All numbers", tables=[metrics_csv_columns(arms, baseline, primary)]),
        Section("Do it again", "Commands, one per run, in the folder of CPC Lab:", code=[("Shell", commands(arms))]),
        Section("Configurations", code=[(run.id, run.config.to_json()) for arm in arms for run in arm.runs]),
    ]
    return html_report(f"CPC Lab: {names}"[:200], sections)
