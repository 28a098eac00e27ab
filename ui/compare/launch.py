"""More runs for a comparison: the seeds that are missing, a sweep over settings, probes that were never fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.comparison.arms import MIN_SEEDS
from cpc_engine.config import unread
from cpc_engine.datasets import DATASETS
from cpc_engine.errors import RunError
from cpc_engine.settings import Setting, read_text
from cpc_engine.sources import SOURCES

from ..components.settings_form import (
    as_text,
    help_of,
    label_of,
    sections_of_data,
    settings_of,
    used_by_data,
    value_of,
)
from ..shell.errors import plain_errors
from ..shell.session import manager, root
from .data import Known, show_also

if TYPE_CHECKING:
    from cpc_engine.comparison.arms import Arm, ComparedRun
    from cpc_engine.comparison.recipes import Change
    from cpc_engine.config import RunConfig
    from cpc_engine.execution.evaluations import Evaluations

RECIPES = "sources of negatives"
SECTIONS = ("sampler", "loss", "optimizer", "context", "audio", "image", "data")
MOST_VALUES = 4


def queue(configs: Sequence[RunConfig], known: Known) -> None:
    """Start what is not there yet, and show all of it."""
    show_also(run or manager().start(config) for config, run in zip(configs, existing(configs, known), strict=True))


def existing(configs: Sequence[RunConfig], known: Known) -> list[str | None]:
    """The run that each configuration already has."""
    from cpc_engine.comparison.arms import arm_key

    return [known.get((arm_key(config), config.run.seed)) for config in configs]


def missing(arms: Sequence[Arm], known: Known) -> None:
    """One click that gives every arm the same seeds, as many as a verdict needs."""
    from cpc_engine.comparison.arms import missing_seeds
    from cpc_engine.comparison.judge import SEEDS_NEEDED
    from cpc_engine.comparison.recipes import seed_configs

    repeatable = [arm for arm in arms if not arm.changes and not arm.begins]
    seeds = missing_seeds(repeatable)
    configs = [config for arm in repeatable for config in seed_configs(arm, seeds.get(arm.letter, []))]
    if not configs:
        return
    lists = "; ".join(f"{letter}: {', '.join(map(str, numbers))}" for letter, numbers in seeds.items())
    with st.container(horizontal=True, vertical_alignment="center"):
        count = f"{len(configs)} run{'s' * (len(configs) > 1)}"
        if st.button(f"Run the missing seeds ({count})", icon=":material/casino:", key="missing", type="primary"):
            with plain_errors():
                queue(configs, known)
        st.caption(f"{SEEDS_NEEDED} Missing for the same seeds in every arm: {lists}.")


def sweep(arms: Sequence[Arm], known: Known) -> None:
    """Repeat an arm with one to four values of one or two settings, or other sources of negatives, at several seeds."""
    from cpc_engine.comparison.recipes import changed_configs

    by_letter = {arm.letter: arm for arm in arms}
    first, second, third, fourth = st.columns([2, 2, 2, 1])
    with first:
        letter = st.selectbox(
            "Repeat arm", list(by_letter), format_func=lambda letter: by_letter[letter].name, key="repeat-arm"
        )
    arm = by_letter[letter]
    base = arm.config
    own = used_by_data(settings_of(sections_of_data(SECTIONS, base)), base)
    settings = {setting.path: setting for setting in own if setting.role == "result"}
    idle = unread(base)

    def title_of(path: str | None) -> str:
        if path is None:
            return "nothing else"
        return f"{path.partition('.')[0]}: {label_of(settings[path])}" if path in settings else path

    with second:
        path = st.selectbox(
            "Change",
            [RECIPES, *(path for path in settings if path not in idle)],
            key="repeat-setting",
            format_func=title_of,
            help="Settings that this arm does not read, such as σ while noise-perturbed negatives are off, are left "
            "out: runs that differ in them alone would be the same.",
        )
    with third:
        across = st.selectbox(
            "And change",
            [None, *(other for other in settings if other != path)],
            key="repeat-across",
            format_func=title_of,
            help="Every value of the one with every value of the other, where both count.",
        )
    with fourth:
        count = int(st.number_input("Seeds", 1, 10, max(MIN_SEEDS, min(10, len(arm.seeds))), key="repeat-seeds"))
    with plain_errors():
        changes = _choices(path, settings.get(path), base)
        if across:
            from cpc_engine.comparison.recipes import every_pair

            changes = every_pair(base, changes, _choices(across, settings[across], base))
        if not changes:
            st.caption("Choose one value to repeat the arm with a change, up to four for a matrix.")
            return
        base_name = base.run.name or DATASETS[base.data.dataset].title
        names = [f"{base_name} · {name}" for _, name in changes]
        configs = changed_configs(base, [change for change, _ in changes], _seeds(arm.seeds, count), names)
        there = sum(run is not None for run in existing(configs, known))
        label = f"Queue {len(configs) - there} runs" if there < len(configs) else "Show these runs"
        if st.button(label, icon=":material/grid_view:", key="repeat-go"):
            queue(configs, known)
        total = f"{len(changes)} × {count} seeds = {len(configs)} runs of {configs[0].optimizer.steps} steps"
        old = f"; {there} of them exist already and are only shown" if there else ""
        st.caption(f"{total}{old}. They train one after another and go on when this tab is closed.")


def probes(runs: Sequence[ComparedRun]) -> None:
    """Offer the linear probe to finished runs that never had it, and show how far it is."""
    from cpc_engine.comparison.collect import is_evaluated

    jobs = _evaluations().jobs()
    active = [job.run for job in jobs.values() if job.going_on]
    st.fragment(_progress, run_every=1 if active else None)([run.id for run in runs], bool(active))
    waiting = [run.id for run in runs if run.complete and not is_evaluated(run) and run.id not in active]
    if waiting:
        label = f"Measure {len(waiting)} run{'s' * (len(waiting) > 1)} with probes"
        help = (
            "Fits a linear probe on frozen features and reads its accuracy on test items; says how long it will take."
        )
        if st.button(label, icon=":material/straighten:", key="measure", help=help):
            with plain_errors():
                for run in waiting:
                    _evaluations().start(run)
                st.rerun()


def _evaluations() -> Evaluations:
    """This process's evaluations; the first call imports torch."""
    from cpc_engine.execution.evaluations import evaluations_for

    return evaluations_for(root())


def _progress(shown: Sequence[str], expected: bool) -> None:
    jobs = _evaluations().jobs()
    active = [job for job in jobs.values() if job.going_on]
    for job in (jobs[run] for run in shown if run in jobs):
        if job.status == "failed":
            with plain_errors():
                raise RunError(f"{job.run} could not be measured: {job.text}")
    if active:
        now = next((job for job in active if job.status == "working"), active[0])
        parts = (f"Measuring {now.run}", now.text or "its turn comes", now.left, f"{len(active)} to go")
        st.progress(now.share, text=" · ".join(part for part in parts if part))
    elif expected:
        st.rerun()  # the last one is done: show its numbers, and stop refreshing


def _choices(path: str, setting: Setting | None, base: RunConfig) -> list[Change]:
    """What the reader chose: changes with their names."""
    if setting is None:
        from cpc_engine.comparison.recipes import SAMPLERS

        both = len(DATASETS[base.data.dataset].modalities) > 1
        labels = [source.label for source in SOURCES.values() if both or not source.other_modality]
        chosen = st.multiselect("Compare", labels, max_selections=MOST_VALUES, key="repeat-recipes")
        return [(SAMPLERS[label], label.lower()) for label in chosen]
    current = value_of(base, path)
    help, key = help_of(setting, current), f"repeat-values-{path}"
    title = f"Values of {label_of(setting)} (now {setting.word_of(as_text(current)) or 'not set'})"
    values: list[Any]
    if setting.kind in ("bool", "choice"):
        options = ["off", "on"] if setting.kind == "bool" else list(setting.choices)
        look: Any = {"format_func": setting.word_of, "help": help}
        texts = st.multiselect(title, options, max_selections=MOST_VALUES, key=key, **look)
        values = [text == "on" if setting.kind == "bool" else text for text in texts]
    else:
        mark = ";" if setting.kind == "list" else ","
        entered = st.text_input(title, key=key, help=help, placeholder=f"one to four, with {mark} between")
        texts = [text.strip() for text in entered.split(mark) if text.strip()][:MOST_VALUES]
        values = [read_text(setting, text) for text in texts]
    return [
        ({path: value}, f"{setting.label} {setting.word_of(text)}") for value, text in zip(values, texts, strict=True)
    ]


def _seeds(there: Sequence[int], count: int) -> list[int]:
    """`count` seeds: those of the arm first, so that pairs can be made."""
    spare = (seed for seed in range(count + len(there)) if seed not in there)
    return sorted([*there[:count], *(next(spare) for _ in range(count - len(there)))])
