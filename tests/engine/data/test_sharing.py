"""What several holders load is in memory once, and no longer than somebody holds it."""

from __future__ import annotations

import gc
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cpc_engine.anatomy.opened import Opened
from cpc_engine.config import RunConfig
from cpc_engine.data import generated, load_dataset
from cpc_engine.data.dataset import Dataset, Split
from cpc_engine.data.sharing import shared
from cpc_engine.errors import ConfigError
from cpc_engine.storage.folder import RunFolder
from tests.support.exported import trained

CHANGES = {"data.dataset": "tones_bars", "data.train_items": 40, "data.test_items": 16}


def test_a_data_set_that_is_loaded_again_takes_no_more_memory() -> None:
    config = RunConfig().replace(CHANGES)
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(lambda seed: load_dataset(config.replace({"run.seed": seed})), range(4))
    for other in others:
        for (_, a), (_, b) in zip(first.splits(), other.splits(), strict=True):
            assert a.audio is b.audio
            assert a.image is b.image
            assert a.names == b.names
    other_data = load_dataset(config.replace({"data.seed": 1}))
    assert other_data.train.audio is not first.train.audio
    assert not torch.equal(other_data.train.audio, first.train.audio)


def test_runs_that_begin_together_make_their_data_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, int]] = []
    original = generated._dataset

    def counted(config: RunConfig, name: str, *args: Any, **kwargs: Any) -> Dataset:
        made.append((name, config.data.seed))
        time.sleep(0.2)  # so that the others ask meanwhile
        return original(config, name, *args, **kwargs)

    monkeypatch.setattr(generated, "_dataset", counted)
    config = RunConfig().replace(CHANGES)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda run: load_dataset(config.replace({"run.seed": run, "data.seed": run % 2})), range(4))
        )
    assert sorted(made) == [("tones_bars", 0), ("tones_bars", 1)]
    assert found[0] is found[2]
    assert found[0].fingerprint() != found[1].fingerprint()
    del found
    load_dataset(config.replace({"data.seed": 1}))
    assert len(made) == 3, "held by nobody"


def test_what_cannot_be_made_is_said_each_time() -> None:
    config = RunConfig().replace(CHANGES | {"audio.sample_rate": 2000})
    for _ in range(2):
        with pytest.raises(ConfigError, match="needs audio"):
            load_dataset(config)


def test_nothing_is_kept_that_nobody_holds() -> None:
    data = load_dataset(RunConfig().replace(CHANGES))
    only_test = replace(data, train=data.test, validation=data.test)
    assert data.train.image is not None
    train, test = weakref.ref(data.train.image), weakref.ref(data.test.image)
    del data
    gc.collect()
    assert train() is None
    assert test() is only_test.test.image
    again = load_dataset(RunConfig().replace(CHANGES))
    assert again.test.image is only_test.test.image, "of a data set of which a part is held, that part is shared"


@given(
    values=st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=1, max_size=4),
    others=st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=1, max_size=4),
    types=st.tuples(*[st.sampled_from([torch.int16, torch.int32])] * 2),
)
def test_only_equal_tensors_are_the_same(
    values: list[list[int]], others: list[list[int]], types: tuple[torch.dtype, torch.dtype]
) -> None:
    a, b = torch.tensor(values, dtype=types[0]), torch.tensor(others, dtype=types[1])
    one, two = (shared(Split(t, None, torch.zeros(len(t)), ("",) * len(t), ("",) * len(t))).audio for t in (a, b))
    assert one is not None
    assert two is not None
    assert torch.equal(one, a)
    assert torch.equal(two, b)
    assert (one is two) == (types[0] == types[1] and values == others)


@pytest.mark.slow
def test_runs_of_one_data_set_that_are_opened_share_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    folders: list[RunFolder] = [trained(tmp_path_factory.mktemp("run"), run__seed=seed) for seed in (0, 1)]
    first, second = map(Opened, folders)
    assert first.items.audio is second.items.audio
