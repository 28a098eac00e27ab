"""The queue against a plain list, for random sequences of batch sizes."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from cpc_engine.negatives.queue import LatentQueue


def push(queue: LatentQueue, first: int, count: int, step: int) -> list[tuple[int, int]]:
    ids = torch.arange(first, first + count)
    queue.push(ids[:, None].float().expand(count, 3), ids, ids % 5, step)
    return [(i, step) for i in ids.tolist()]


@given(st.integers(0, 9), st.lists(st.integers(0, 14), max_size=12), st.integers(0, 6), st.integers(0, 4))
def test_first_in_first_out_at_every_size(size: int, batches: list[int], max_age: int, reload_at: int) -> None:
    """No row is lost with batches larger than the queue, partial batches, wrap-around, and a save and load."""
    queue, expected = LatentQueue(size, 3), []
    for step, count in enumerate(batches):
        expected += push(queue, 100 * step, count, step)
        expected = expected[len(expected) - min(size, len(expected)) :]
        if step == reload_at:
            state = queue.state()
            queue = LatentQueue(size, 3)
            queue.load(state)
        assert len(queue) == len(expected)
        assert list(zip(queue.state()["ids"].tolist(), queue.state()["steps"].tolist(), strict=True)) == expected
        assert sorted(queue.entries(step).ids.tolist()) == sorted(i for i, _ in expected)  # of any age
        entries = queue.entries(step, max_age)
        valid = [i for i, enqueued in expected if max_age == 0 or step - enqueued <= max_age]
        assert sorted(entries.ids.tolist()) == sorted(valid)
        assert torch.equal(entries.vectors[:, 0].long(), entries.ids)
        assert torch.equal(entries.labels, entries.ids % 5)


def test_starts_empty_rather_than_with_random_vectors() -> None:
    assert len(LatentQueue(16, 4).entries(0).ids) == 0


def test_keeps_no_gradient() -> None:
    queue = LatentQueue(4, 2)
    queue.push(torch.ones(2, 2, requires_grad=True), torch.arange(2), torch.arange(2), 0)
    assert not queue.entries(1).vectors.requires_grad
