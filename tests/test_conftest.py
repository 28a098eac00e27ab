"""What every test relies on."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paths import REPOSITORY

LONG = st.lists(st.sampled_from([f"{index:0200d}" for index in range(400)]).map(lambda text: (text, random.random())))


@given(LONG)
@settings(max_examples=20)
def test_a_thread_that_draws_while_examples_are_drawn_fails_no_test(drawn: list[tuple[str, float]]) -> None:
    """Hypothesis warns about it, with the whole strategy in its words, and warns again where these are long.

    Threads of earlier tests, such as one that waits before it asks a server again, draw from `random`. A strategy
    that does so itself stands in for them.
    """
    assert all(len(text) == 200 and 0 <= share < 1 for text, share in drawn)


def test_no_test_may_take_longer_than_its_process(pytestconfig: pytest.Config) -> None:
    """Where tests say how long they may take, the process must not end before."""
    ends = float(pytestconfig.getini("faulthandler_timeout"))
    written = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("*.py"))
    allowed = [int(seconds) for seconds in re.findall(r"mark\.timeout\((\d+)\)", written)]
    assert allowed
    assert max(allowed) < ends
