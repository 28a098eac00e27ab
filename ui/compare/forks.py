"""Forks held against their controls: child − control over the steps, with a band over the pairs, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.comparison.forks import differences, judge_forks, paired
from cpc_engine.errors import CpcError
from cpc_engine.evaluation.metric_info import describe_metric

from ..components.chart import chart
from ..drawing.palette import series_style
from ..drawing.text import plain_name
from ..shell.errors import literal, plain_errors
from ..shell.session import has_ended, open_run
from ..shell.status import held, refresh_seconds
from .curves import PAIRED, differences_figure
from .data import all_records

if TYPE_CHECKING:
    from cpc_engine.comparison.arms import ComparedRun
    from cpc_engine.comparison.forks import Difference, Fork, Records
    from cpc_engine.comparison.verdicts import Verdict

    from ..drawing.charts import Figure
    from ..drawing.palette import Style

ABREAST = 3  # charts in a row
NEARLY = 0.9  # as far as any pair: then it is drawn


def show_forks(runs: Sequence[ComparedRun], primary: str) -> None:
    """Nothing where no child and its control are among the runs."""
    forks = paired(runs)
    if not forks:
        return
    st.header("Forks against their controls", anchor="forks", help=PAIRED)
    for index, (fork, verdicts) in enumerate(zip(forks, judge_forks(forks, primary), strict=True)):
        mark = f":color[■]{{foreground='{series_style(index).color}'}}"
        st.markdown(
            f"{mark} **{literal(fork.title)}** · {literal(_pairs(fork))}  \n{_verdict(fork, verdicts, primary)}"
        )
    active = [run.id for fork in forks for pair in fork.pairs for run in pair if not has_ended(run.status)]
    st.fragment(_charts, run_every=refresh_seconds(active[0]) if active and not held() else None)(forks)


def fork_figures(forks: Sequence[Fork]) -> dict[str, Figure]:
    """{metric: figure} of child − control, a line for each fork; without those of which nothing is recorded yet."""
    by_metric: dict[str, list[tuple[str, Style, Difference]]] = {}
    for index, fork in enumerate(forks):
        for one in differences(_furthest(fork), fork.begins):
            if one.steps[-1] > fork.begins:
                by_metric.setdefault(one.metric, []).append((plain_name(fork.title), series_style(index), one))
    return {metric: differences_figure(curves) for metric, curves in by_metric.items()}


def _furthest(fork: Fork) -> list[tuple[Records, Records]]:
    """Records of the pairs that have got (nearly) as far as any: one that has just begun would cut off the others."""
    pairs = [(all_records(child.id), all_records(control.id)) for child, control in fork.pairs]
    steps = [min(rows[-1]["step"] if rows else 0 for rows in pair) - fork.begins for pair in pairs]
    return [pair for pair, reached in zip(pairs, steps, strict=True) if reached >= max(1, NEARLY * max(steps))]


def _charts(forks: Sequence[Fork]) -> None:
    with plain_errors():
        figures = fork_figures(forks)
        if not figures:
            st.info("The charts begin when a fork and its control have made steps.", icon=":material/hourglass_empty:")
        for fork in forks:
            if len(drawn := _furthest(fork)) < len(fork.pairs):
                st.caption(
                    literal(f"{fork.title}: {len(drawn)} of {len(fork.pairs)} pairs have got far enough to be drawn.")
                )
        for index, (metric, figure) in enumerate(figures.items()):
            if index % ABREAST == 0:
                row = st.columns(ABREAST)
            figure["layout"] |= {"showlegend": False}
            figure["layout"]["margin"] |= {"t": 40}
            with row[index % ABREAST]:
                chart(figure, f"fork-{metric}", 250)


def _pairs(fork: Fork) -> str:
    """ "5 pairs from step 60 of My run"."""
    names = []
    for run in fork.origins:
        try:
            names.append(open_run(run).name)
        except CpcError:  # deleted
            names.append(run)
    count = len(fork.pairs)
    return f"{count} pair{'s' * (count > 1)} from step {fork.begins:,} of {', '.join(names)}"


def _verdict(fork: Fork, verdicts: dict[str, Verdict], primary: str) -> str:
    """The primary metric in words, and which of the others tell the sides apart."""
    lines, verdict = [], verdicts.get(primary)
    if verdict is not None:
        children, controls = (arm.values(primary) for arm in fork.arms)
        text = f"{describe_metric(primary).title}: {literal(verdict.text)}"
        if common := children.keys() & controls.keys():
            mean = fmean(children[seed] - controls[seed] for seed in common)
            text += f" · fork − control = **{mean:+.3g}**"
        if verdict.low is not None and verdict.high is not None:
            text += f" ({verdict.low:.3g} to {verdict.high:.3g})"
        lines.append(text)
    told = [
        f"{describe_metric(name).title} {verdict.difference:+.3g} ({literal(verdict.text)})"
        for name, verdict in verdicts.items()
        if name != primary and verdict.winner is not None
    ]
    return "  \n".join([*lines, *([f"Told apart by {', '.join(told)}"] if told else [])])
