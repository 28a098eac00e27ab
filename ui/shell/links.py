"""Links from one page to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from cpc_engine.config import RunConfig

from .session import has_map, open_run


def train_like(config: RunConfig, label: str, changes: Mapping[str, Any] | None = None) -> None:
    """A link to the Train page with the settings of `config` and `changes` to them; name and note are left empty."""
    st.page_link("pages/train.py", label=label, icon=":material/tune:", query_params=train_address(config, changes))


def train_address(config: RunConfig, changes: Mapping[str, Any] | None = None) -> dict[str, str | list[str]]:
    """What the address of the Train page asks for to begin with these settings, without name and note."""
    from cpc_engine.comparison.commands import nearest_preset

    name, settings = nearest_preset(config.replace({"run.name": "", "run.note": "", **(changes or {})}))
    return {"preset": name, "set": settings}


def look_into(run: str) -> None:
    """Links to the pages that need a run's map, where it has one."""
    if has_map(run):
        address = {"run": run}
        st.page_link("pages/explore.py", label="Explore", icon=":material/scatter_plot:", query_params=address)
        st.page_link("pages/place.py", label="Place", icon=":material/my_location:", query_params=address)


def negatives_of(run: str, item: int, label: str = "Its negatives") -> None:
    """A link to the negatives of an item of a run's map, where the run has weights; `item` is its row there."""
    if open_run(run).folder.has("weights"):
        address = {"run": run, "item": str(item)}
        st.page_link("pages/negatives.py", label=label, icon=":material/compress:", query_params=address)
