"""Where a run can train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from cpc_engine.config import RunConfig

from .settings_form import Changes


@st.cache_data(ttl=10, show_spinner=False)
def devices() -> dict[str, str]:
    """{value of the `run.device` setting: what people call it, with its free memory}."""
    import torch

    names = {}
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        names[f"cuda:{index}"] = f"{torch.cuda.get_device_name(index)} · {_free(free, total)}"
    names["cpu"] = f"processor{_memory()}"
    return {"auto": f"auto · {next(iter(names.values()))}"} | names


def choose_device(base: RunConfig, changes: Changes, changed: Callable[[], None], disabled: bool = False) -> None:
    """The `run.device` setting as a list of what this machine has (see `settings_form.draw_setting`)."""
    names = devices()
    chosen = changes.get("run.device", base.run.device)
    if chosen not in names:
        names = names | {chosen: f"{chosen} · not here"}

    def edited() -> None:
        changes.pop("run.device", None)
        if st.session_state.device != base.run.device:
            changes["run.device"] = st.session_state.device
        changed()

    st.session_state.device = chosen
    st.selectbox(
        "Device", list(names), format_func=names.__getitem__, key="device", on_change=edited, disabled=disabled
    )


def _memory() -> str:
    """The processor's free memory, where the system reports it (Linux)."""
    table = Path("/proc/meminfo")
    if not table.is_file():
        return ""
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in table.read_text().splitlines()}
    return f" · {_free(1024 * kilobytes['MemAvailable'], 1024 * kilobytes['MemTotal'])}"


def _free(free: int, total: int) -> str:
    return f"{free / 2**30:.0f} of {total / 2**30:.0f} GB free"
