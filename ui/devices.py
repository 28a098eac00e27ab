"""Where a run can train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from cpc_engine.config import RunConfig

from .knobs import Changes


@st.cache_data(ttl=10, show_spinner=False)
def devices() -> dict[str, str]:
    """Names that the `device` knob takes, each with what a person calls it and its free memory."""
    import torch

    found = {}
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        found[f"cuda:{index}"] = f"{torch.cuda.get_device_name(index)} · {_free(free, total)}"
    found["cpu"] = f"processor{_memory()}"
    return {"auto": f"auto · {next(iter(found.values()))}"} | found


def choose_device(base: RunConfig, changes: Changes, changed: Callable[[], None]) -> None:
    """As `knobs.draw_knob`, with what is there instead of a text to type."""
    found = devices()
    now = changes.get("run.device", base.run.device)
    if now not in found:
        found = found | {now: f"{now} · not here"}

    def edited() -> None:
        changes.pop("run.device", None)
        if st.session_state.device != base.run.device:
            changes["run.device"] = st.session_state.device
        changed()

    st.session_state.device = now
    st.selectbox("Device", list(found), format_func=found.__getitem__, key="device", on_change=edited)


def _memory() -> str:
    """The processor's free memory, where the system tells (Linux)."""
    table = Path("/proc/meminfo")
    if not table.is_file():
        return ""
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in table.read_text().splitlines()}
    return f" · {_free(1024 * kilobytes['MemAvailable'], 1024 * kilobytes['MemTotal'])}"


def _free(free: int, total: int) -> str:
    return f"{free / 2**30:.0f} of {total / 2**30:.0f} GB free"
