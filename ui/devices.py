"""Where a run can train."""

from __future__ import annotations

import streamlit as st


@st.cache_data(ttl=10, show_spinner=False)
def devices() -> dict[str, str]:
    """Names that the `device` knob takes, each with what a person calls it and its free memory."""
    import torch

    found = {"auto": "choose for me"} if torch.cuda.is_available() else {}
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        found[f"cuda:{index}"] = f"{name} · {free / 2**30:.0f} of {total / 2**30:.0f} GB free"
    return found | {"cpu": "processor"}
