"""What the sampler will do with a configuration, as a page shows it before a run begins."""

from __future__ import annotations

import json

import streamlit as st

from cpc_engine.config import RunConfig
from cpc_engine.negatives.plan import ModalityPlan, modalities, perturbed_cosine, plan, remarks
from cpc_engine.runs.device import pick_device

from .curves import MODALITY_WORDS, SOURCE_WORDS
from .engine import manager, root, runs
from .palette import SOURCES
from .status import duration


def show_plan(config: RunConfig) -> None:
    """Counts per modality and what looks unwise.

    Raises:
        ConfigError: its device is not here.
    """
    plans = plan(config, pick_device(config.run.device))
    for column, one in zip(st.columns(max(len(plans), 1)), plans, strict=False):
        with column:
            _counts(one)
    cosine = perturbed_cosine(config)
    if config.sampler.perturbed and cosine is not None:
        st.markdown(f"Noisy copies keep **cos {cosine:.3f}** with the right answer (1: a copy, 0: unrelated).")
    for remark in remarks(config):
        show, icon = (st.error, ":material/block:") if remark.stops else (st.warning, ":material/warning:")
        show(f"**{remark.text}** {remark.advice}", icon=icon)


def show_time(config: RunConfig) -> None:
    """How long it will take, and how that is known.

    Raises:
        CpcError: its device is not here, or a few steps of it cannot be trained.
    """
    from cpc_engine.runs.estimate import estimate

    device = pick_device(config.run.device)
    found = estimate(config, device, runs(), root())
    measured = _measured().get(_size_key(config, device))
    if found:
        source = "an earlier run" if found.runs == 1 else f"{found.runs} earlier runs"
        st.markdown(f"Takes about **{duration(found.seconds)}**, by {source} of this size on this device.")
    elif measured:
        seconds = duration(measured * config.optimiser.steps)
        st.markdown(f"Takes about **{seconds}**, by a few steps that were measured on this device.")
    elif manager().active():
        st.caption("Time: not known yet; while a run goes on it cannot be measured.")
    elif st.button("How long will it take?", icon=":material/timer:", help="Trains a few steps.", key="measure"):
        from cpc_engine.runs.trial import seconds_a_step

        with st.spinner("Training a few steps …"):
            _measured()[_size_key(config, device)] = seconds_a_step(config)
        st.rerun()


@st.cache_resource(show_spinner=False)
def _measured() -> dict[str, float]:
    """{settings that decide on it, and the device: seconds a step}, of all sessions."""
    return {}


def _size_key(config: RunConfig, device: str) -> str:
    from cpc_engine.runs.estimate import size_of

    return f"{device} {json.dumps(size_of(config))}"


def _counts(one: ModalityPlan) -> None:
    total = sum(one.candidates.values())
    st.markdown(f"**{MODALITY_WORDS[one.modality].capitalize()}**: {one.length} latents an item")
    st.markdown(f"{one.anchors:,} anchors a step, each against {total:,} candidates")
    for name, count in one.candidates.items():
        st.markdown(f":color[●]{{foreground='{SOURCES[name].color}'}} {SOURCE_WORDS[name]} **{count:,}**")
    notes = [f"the loss holds {_size(one.loss_bytes)} (a plain matrix: {_size(one.matrix_bytes)})"]
    if one.queue_steps is not None:
        notes.append(f"the memory reaches back {one.queue_steps:.1f} steps")
    text = "; ".join(notes)
    st.caption(text[:1].upper() + text[1:] + ".")


def shown_sections(config: RunConfig, sections: tuple[str, ...]) -> list[str]:
    """Sections without those of a modality that the data do not have."""
    present = modalities(config)
    return [name for name in sections if name not in ("audio", "image") or name in present]


def _size(size: int) -> str:
    return f"{size / 2**20:.0f} MB" if size >= 2**20 else f"{size / 2**10:.0f} kB"
