"""What the reader takes along: one HTML file with everything that the page shows, commands and configurations."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cpc_engine.evaluation.compare import Setting
from cpc_engine.runs.compare import cli_command
from cpc_engine.runs.report import Chart, Section, html_report

from .charts import Figure
from .compare_tables import differences, measures_csv_columns, measures_table, overview
from .curves import spoken

HOW = (
    "Mean ± half width of the 95 % Student-t interval over seeds. A verdict needs two seeds on each side: from the "
    "differences seed by seed where the seeds are the same, else by Welch. One test per measure, so of twenty measures "
    "about one differs by chance alone."
)


def commands(settings: Sequence[Setting]) -> str:
    """Shell commands that train every run again."""
    lines = []
    for setting in settings:
        lines.append(f"# {setting.letter}")
        lines += [
            f"# by hand at step {step}: {knob} = {value} (a command cannot repeat that)"
            for step, knob, value in setting.changes
        ]
        lines += [cli_command(run.config) for run in setting.runs]
    return "\n".join(lines) + "\n"


def configurations(settings: Sequence[Setting]) -> str:
    """{run: configuration} of every run."""
    return json.dumps({run.id: run.config.to_dict() for setting in settings for run in setting.runs}, indent=2)


def report(
    settings: Sequence[Setting], reference: Setting, curves: Sequence[Figure], maps: Sequence[tuple[Figure, str]]
) -> str:
    """The report: `maps` are figures with their text alternatives; `curves` speak for themselves."""
    names = " against ".join(setting.name for setting in settings[:4])
    sections = [
        Section("Settings", tables=[overview(settings)]),
        Section(
            "What differs",
            "" if len(settings) > 1 else "There is only one setting.",
            tables=[differences(settings)] if len(settings) > 1 else [],
        ),
        Section("Which is better", HOW, tables=[measures_table(settings, reference, every=True)]),
        Section("Curves", charts=[Chart(figure, spoken(figure)) for figure in curves]),
    ]
    if maps:
        text = "Held-out items where each run puts them. Distances between groups mean little."
        sections.append(Section("Maps", text, charts=[Chart(figure, alt, 480) for figure, alt in maps]))
    sections += [
        Section("All numbers", tables=[measures_csv_columns(settings, reference)]),
        Section(
            "Do it again", "Commands, one per run, in the folder of CPC Lab:", code=[("Shell", commands(settings))]
        ),
        Section("Configurations", code=[(run.id, run.config.to_json()) for s in settings for run in s.runs]),
    ]
    return html_report(f"CPC Lab: {names}"[:200], sections)
