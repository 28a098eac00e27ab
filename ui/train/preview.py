"""The batch preview: what one step of a configuration will do, and how long the run will take."""

from __future__ import annotations

import json

import streamlit as st

from cpc_engine.config import RunConfig, in_words
from cpc_engine.datasets import DATASETS
from cpc_engine.execution.device import pick_device
from cpc_engine.sources import SOURCES
from cpc_engine.terms import ITEM_NOUNS
from cpc_engine.training.plan import ModalityPlan, diagnostics, plan

from ..drawing.palette import SOURCE_STYLES
from ..shell.errors import plain_errors, sentence
from ..shell.glossary import define
from ..shell.session import manager, root, runs
from ..shell.status import duration
from .draft import take
from .own_data import Look


def show_preview(found: Look, ready: bool) -> None:
    """Where the charts of a run will be: what a step of it does, and how long it takes."""
    with st.container(border=True, key="preview"):
        st.subheader("Batch preview", anchor=False, help=define("batch_preview"))
        with plain_errors():
            show_plan(found)
            if ready:
                show_time(found.config)


def show_plan(found: Look) -> None:
    """Counts per modality, where the data tell them, and what looks unwise.

    Raises:
        ConfigError: its device is not here.
    """
    config, device = found.config, pick_device(found.config.run.device)
    plans = plan(config, device, found.items) if found.sized else []
    if not plans:
        st.caption("What a step does depends on the data: it is shown once they can be read.")
    for column, modality_plan in zip(st.columns(max(len(plans), 1)), plans, strict=False):
        with column:
            _counts(modality_plan, DATASETS[config.data.dataset].summary)
    for number, diagnostic in enumerate(diagnostics(config, found.items)):
        show, icon = (st.error, ":material/block:") if diagnostic.stops else (st.warning, ":material/warning:")
        show(f"**{sentence(diagnostic.text)}** {sentence(diagnostic.advice)}", icon=icon)
        if diagnostic.changes:
            words = f"Use {in_words(diagnostic.changes)}"
            st.button(words, icon=":material/build:", key=f"use-{number}", on_click=take, args=(diagnostic.changes,))


def show_time(config: RunConfig) -> None:
    """How long the run will take, and how that is known.

    Raises:
        CpcError: its device is not here, or a few steps of it cannot be trained.
    """
    from cpc_engine.execution.duration.estimate import estimate

    device = pick_device(config.run.device)
    known = estimate(config, device, runs(), root())
    measured = _measured().get(_size_key(config, device))
    if known:
        source = "an earlier run" if known.runs == 1 else f"{known.runs} earlier runs"
        st.markdown(f"Takes about **{duration(known.seconds)}**, by {source} of this size on this device.")
    elif measured:
        seconds = duration(measured * config.optimizer.steps)
        st.markdown(f"Takes about **{seconds}**, by a few steps that were measured on this device.")
    elif manager().active():
        st.caption("Time: not known yet; it cannot be measured while a run trains.")
    elif st.button("How long will it take?", icon=":material/timer:", help="Trains a few steps.", key="measure"):
        from cpc_engine.execution.duration.step_time import measure_step_time

        with st.spinner("Training a few steps …"):
            _measured()[_size_key(config, device)] = measure_step_time(config)
        st.rerun()


@st.cache_resource(show_spinner=False)
def _measured() -> dict[str, float]:
    """{see `_size_key`: seconds per step} of all sessions."""
    return {}


def _size_key(config: RunConfig, device: str) -> str:
    """The device and the settings that decide how long a step takes."""
    from cpc_engine.execution.duration.estimate import size_of

    return f"{device} {json.dumps(size_of(config))}"


def _counts(modality: ModalityPlan, data: str) -> None:
    """One modality's anchors and candidates, by source; `data` says what the data set is."""
    total = sum(modality.candidates.values())
    st.markdown(f"**{ITEM_NOUNS[modality.modality][1].capitalize()}**: {modality.length} latents per item", help=data)
    anchors = f"{modality.anchors:,} anchors per step, each against {total:,} candidates"
    st.markdown(anchors, help=define("anchor"))
    for name, count in modality.candidates.items():
        dot = f":color[●]{{foreground='{SOURCE_STYLES[name].color}'}}"
        source = SOURCES[name]
        st.markdown(f"{dot} {source.label} **{count:,}**", help=define(name) or source.summary)
    facts = [f"The loss needs {_size(modality.loss_bytes)} (the full matrix: {_size(modality.matrix_bytes)})"]
    if modality.queue_steps is not None:
        facts.append(f"the queue reaches back {modality.queue_steps:.1f} steps")
    st.caption(f"{'; '.join(facts)}.")


def _size(size: int) -> str:
    return f"{size / 2**20:.0f} MB" if size >= 2**20 else f"{size / 2**10:.0f} kB"
