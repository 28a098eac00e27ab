"""More runs for a comparison: the seeds that are missing, a setting with a change, probes that were never fitted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.errors import RunError
from cpc_engine.knobs import Knob, read_text

from .compare_data import show_also
from .engine import manager, plain_errors, root
from .knobs import as_text, help_of, knobs_of, value_of
from .plan_view import shown_sections

if TYPE_CHECKING:
    from cpc_engine.config import RunConfig
    from cpc_engine.evaluation.compare import ComparedRun, Setting

Known = dict[tuple[str, int], str]
Change = tuple[dict[str, Any], str]  # {"section.knob": value} and what it is called
RECIPES = "sources of negatives"
SECTIONS = ("sampler", "loss", "optimiser", "context", "audio", "image", "data")
MOST_VALUES = 4


def queue(configs: Sequence[RunConfig], known: Known) -> None:
    """Start what is not there yet, and show all of it."""
    ids = []
    for config, there in zip(configs, existing(configs, known), strict=True):
        ids.append(there or manager().start(config))
    show_also(ids)


def existing(configs: Sequence[RunConfig], known: Known) -> list[str | None]:
    """The run that each configuration already has."""
    from cpc_engine.evaluation.compare import setting_key

    return [known.get((setting_key(config), config.run.seed)) for config in configs]


def missing(settings: Sequence[Setting], known: Known) -> None:
    """One click that gives every setting the same seeds, three or more."""
    from cpc_engine.evaluation.compare import missing_seeds
    from cpc_engine.runs.compare import seed_configs

    wanted = missing_seeds([setting for setting in settings if not setting.changes])
    configs = [
        config for s in settings for config in seed_configs(s, wanted.get(s.letter, []) if not s.changes else [])
    ]
    if not configs:
        return
    words = "; ".join(f"{letter}: {', '.join(map(str, seeds))}" for letter, seeds in wanted.items())
    with st.container(horizontal=True, vertical_alignment="center"):
        count = f"{len(configs)} run{'s' * (len(configs) > 1)}"
        if st.button(f"Run the missing seeds ({count})", icon=":material/casino:", key="missing", type="primary"):
            with plain_errors():
                queue(configs, known)
        st.caption(f"A verdict needs the same seeds on both sides, three or more. Missing: {words}.")


def matrix(settings: Sequence[Setting], known: Known) -> None:
    """Repeat a setting with one to four values of one or two knobs, or other sources of negatives, at several seeds."""
    from cpc_engine.runs.compare import changed_configs

    by_letter = {setting.letter: setting for setting in settings}
    first, second, third, fourth = st.columns([2, 2, 2, 1])
    with first:
        letter = st.selectbox(
            "Repeat setting", list(by_letter), format_func=lambda one: by_letter[one].name, key="repeat-setting"
        )
    base = by_letter[letter].config
    knobs = {
        k.path: k for k in knobs_of(shown_sections(base, SECTIONS)) if k.path not in ("data.path", "data.image_path")
    }
    with second:
        path = st.selectbox(
            "With another", [RECIPES, *knobs], key="repeat-knob", format_func=lambda p: p.replace("_", " ")
        )
    with third:
        grid = [one for one in knobs if one != path]
        across = st.selectbox(
            "And with another",
            [None, *grid],
            key="repeat-across",
            format_func=lambda p: "nothing else" if p is None else p.replace("_", " "),
            help="Every value of the one with every value of the other.",
        )
    with fourth:
        count = int(st.number_input("Seeds", 1, 10, max(3, len(by_letter[letter].seeds)), key="repeat-seeds"))
    with plain_errors():
        chosen = _choices(path, knobs.get(path), base)
        if across:
            chosen = _every_pair(chosen, _choices(across, knobs[across], base))
        if not chosen:
            st.caption("Choose one value to repeat the setting with a change, up to four for a matrix.")
            return
        changes, names = [change for change, _ in chosen], [name for _, name in chosen]
        titles = [f"{base.run.name or base.data.dataset} · {name}" for name in names]
        configs = changed_configs(base, changes, _seeds(by_letter[letter].seeds, count), titles)
        there = sum(run is not None for run in existing(configs, known))
        sum_up = f"{len(changes)} × {count} seeds = {len(configs)} runs of {configs[0].optimiser.steps} steps"
        old = f"; {there} of them exist already and are only shown" if there else ""
        label = f"Queue {len(configs) - there} runs" if there < len(configs) else "Show these runs"
        if st.button(label, icon=":material/grid_view:", key="repeat-go"):
            queue(configs, known)
        st.caption(f"{sum_up}{old}. They train one after another and go on when this tab is closed.")


def probes(runs: Sequence[ComparedRun]) -> None:
    """Offer the linear probe to finished runs that never had it, and tell how far it is."""
    from cpc_engine.runs.compare import is_evaluated
    from cpc_engine.runs.jobs import evaluations_for

    jobs = evaluations_for(root()).jobs()
    going_on = any(job.going_on for job in jobs.values())
    st.fragment(_progress, run_every=1 if going_on else None)([run.id for run in runs], going_on)
    waiting = [r.id for r in runs if r.complete and not is_evaluated(r) and not (r.id in jobs and jobs[r.id].going_on)]
    if waiting:
        words = f"Measure {len(waiting)} run{'s' * (len(waiting) > 1)} with probes"
        help = "Fits a linear probe on frozen features and reads its accuracy on test items: about a minute a run."
        if st.button(words, icon=":material/straighten:", key="measure", help=help):
            with plain_errors():
                for run in waiting:
                    evaluations_for(root()).start(run)
                st.rerun()


def _progress(shown: Sequence[str], expected: bool) -> None:
    from cpc_engine.runs.jobs import evaluations_for

    jobs = evaluations_for(root()).jobs()
    left = [job for job in jobs.values() if job.going_on]
    for job in (jobs[run] for run in shown if run in jobs):
        if job.status == "failed":
            with plain_errors():
                raise RunError(f"{job.run} could not be measured: {job.text}")
    if left:
        now = next((job for job in left if job.status == "working"), left[0])
        st.progress(now.share, text=f"Measuring {now.run} · {now.text or 'its turn comes'} · {len(left)} to go")
    elif expected:
        st.rerun()  # the last one is done: show its numbers, and stop asking


def _choices(path: str, knob: Knob | None, base: RunConfig) -> list[Change]:
    """What the reader chose: changes with their names."""
    if knob is None:
        from cpc_engine.runs.compare import SAMPLERS

        both = len(shown_sections(base, ("audio", "image"))) == 2
        names = [name for name in SAMPLERS if both or not SAMPLERS[name]["sampler.cross_modal"]]
        chosen = st.multiselect("Compare", names, max_selections=MOST_VALUES, key="repeat-recipes")
        return [(SAMPLERS[name], name.lower()) for name in chosen]
    help, key = help_of(knob, value_of(base, path)), f"repeat-values-{path}"
    title = f"Values of {knob.name.replace('_', ' ')}"
    now = as_text(value_of(base, path)) or "not set"
    values: list[Any]
    if knob.kind in ("bool", "choice"):
        options = ["off", "on"] if knob.kind == "bool" else list(knob.choices)
        texts = st.multiselect(f"{title} (now {now})", options, max_selections=MOST_VALUES, key=key, help=help)
        values = [text == "on" if knob.kind == "bool" else text for text in texts]
    else:
        mark = ";" if knob.kind == "list" else ","
        given = st.text_input(
            f"{title} (now {now})", key=key, help=help, placeholder=f"one to four, with {mark} between"
        )
        texts = [text.strip() for text in given.split(mark) if text.strip()][:MOST_VALUES]
        values = [read_text(knob, text) for text in texts]
    name = knob.name.replace("_", " ")
    return [({path: value}, f"{name} {text}") for value, text in zip(values, texts, strict=True)]


def _every_pair(one: Sequence[Change], other: Sequence[Change]) -> list[Change]:
    """Each change of the one with each of the other; what the other says counts where both say something."""
    return [(a | b, f"{first}, {second}") for (a, first), (b, second) in product(one, other)]


def _seeds(there: Sequence[int], count: int) -> list[int]:
    """`count` seeds: those of the setting first, so that pairs can be made."""
    spare = (seed for seed in range(count + len(there)) if seed not in there)
    return sorted([*there[:count], *(next(spare) for _ in range(count - len(there)))])
