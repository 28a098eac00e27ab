"""The first runs of all: one click trains two of them side by side, without a setting to choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from .address import join_ids
from .session import manager

if TYPE_CHECKING:
    from cpc_engine.config import RunConfig

STEPS = 40
QUEUE = {"sampler.queue_size": 4096}
MOMENTUM = {"sampler.key_momentum": 0.98}
# Small enough for half a minute on two processor cores.
SMALL: dict[str, Any] = {
    "data.train_items": 320,
    "data.test_items": 96,
    "audio.sample_rate": 8000,
    "audio.mel_bands": 32,
    "audio.width": 8,
    "context.hidden_dim": 32,
    "context.latent_dim": 16,
    "optimizer.batch_size": 16,
    "optimizer.learning_rate": 3e-3,
    "optimizer.warmup_steps": 5,
    "evaluation.every": 4,
    "evaluation.items": 96,
    "evaluation.map_items": 96,
    "run.threads": 1,
    "run.precision": "32-true",  # the same pictures on every processor
}


def pair(steps: int = STEPS) -> list[RunConfig]:
    """The configurations of two runs that differ in the queue alone."""
    return [_config(steps, "In-batch", {}), _config(steps, "Queue, no momentum", QUEUE)]


def begin(steps: int = STEPS) -> list[str]:
    """Train the two runs at the same time, and give their ids.

    Raises:
        StorageError: the folder of runs cannot be written.
    """
    return manager().start_together(pair(steps))


def warm_up() -> None:
    """Take a step as the first runs do, and keep nothing: what libraries set up at first use is there from then on."""
    from cpc_engine.data import load_dataset
    from cpc_engine.execution.device import fabric_on
    from cpc_engine.training.trainer import Trainer

    config = pair()[0].replace({"data.train_items": 40, "data.test_items": 20})
    Trainer(config, load_dataset(config), fabric_on("cpu", "32-true")).step()


def mend(config: RunConfig) -> str:
    """Train a run with a queue again with a momentum encoder, and give its id.

    Args:
        config: of the run with the queue.

    Raises:
        StorageError: the folder of runs cannot be written.
    """
    labels = {"run.name": "Queue with momentum", "run.note": ""}
    [run] = manager().start_together([config.replace(labels | MOMENTUM)])
    return run


def nothing_yet() -> None:
    """What a page shows while there are no runs."""
    st.info("Nothing was trained yet. One click begins.", icon=":material/info:")
    if st.button("Train two runs", type="primary", icon=":material/play_arrow:", key="go"):
        st.switch_page("pages/start.py", query_params={"runs": join_ids(begin())})


def _config(steps: int, name: str, changes: dict[str, Any]) -> RunConfig:
    from cpc_engine import preset

    return preset("chirps").config().replace({**SMALL, "optimizer.steps": steps, "run.name": name, **changes})
