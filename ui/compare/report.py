"""What the reader exports: one HTML file with everything that the page shows, commands and configurations."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cpc_engine.comparison.arms import Arm
from cpc_engine.comparison.commands import cli_command
from cpc_engine.comparison.html import Chart, Section, html_report
from cpc_engine.comparison.judge import EXPLANATION
from cpc_engine.comparison.tables import differences, metrics_csv_columns, metrics_table, overview

from ..drawing.charts import Figure
from ..drawing.curves import spoken


def commands(arms: Sequence[Arm]) -> str:
    """Shell commands that train every run again."""
    lines = []
    for arm in arms:
        lines.append(f"# {arm.letter}")
        lines += [
            f"# by hand at step {step}: {setting} = {value} (a command cannot repeat that)"
            for step, setting, value in arm.changes
        ]
        lines += [cli_command(run.config) for run in arm.runs]
    return "\n".join(lines) + "\n"


def configurations(arms: Sequence[Arm]) -> str:
    """{run: configuration} of every run."""
    return json.dumps({run.id: run.config.to_dict() for arm in arms for run in arm.runs}, indent=2)


def report(
    arms: Sequence[Arm], baseline: Arm, primary: str, curves: Sequence[Figure], maps: Sequence[tuple[Figure, str]]
) -> str:
    """The report: `maps` are figures with their text alternatives; `curves` speak for themselves."""
    names = " against ".join(arm.name for arm in arms[:4])
    sections = [
        Section("Arms", tables=[overview(arms)]),
        Section(
            "What differs",
            "" if len(arms) > 1 else "There is only one arm.",
            tables=[differences(arms)] if len(arms) > 1 else [],
        ),
        Section("Which is better", EXPLANATION, tables=[metrics_table(arms, baseline, primary, every=True)]),
        Section("Curves", charts=[Chart(figure, spoken(figure)) for figure in curves]),
    ]
    if maps:
        text = "Held-out items where each run puts them. Distances between groups mean little."
        sections.append(Section("Maps", text, charts=[Chart(figure, alt, 480) for figure, alt in maps]))
    sections += [
        Section("All numbers", tables=[metrics_csv_columns(arms, baseline, primary)]),
        Section("Do it again", "Commands, one per run, in the folder of CPC Lab:", code=[("Shell", commands(arms))]),
        Section("Configurations", code=[(run.id, run.config.to_json()) for arm in arms for run in arm.runs]),
    ]
    return html_report(f"CPC Lab: {names}"[:200], sections)
