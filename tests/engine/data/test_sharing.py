"""What several holders load is in memory once, and no longer than somebody holds it."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cpc_engine.anatomy.opened import Opened
from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.data.dataset import Split
from cpc_engine.data.sharing import shared
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
