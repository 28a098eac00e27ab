"""Floating-point operations of a step, counted by data type, against counts by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.utilization import FlopsByType, utilization

small = st.integers(1, 6)


@given(rows=small, inputs=small, outputs=small)
def test_a_linear_layer_and_its_backward_pass_are_three_products(rows: int, inputs: int, outputs: int) -> None:
    layer, x = torch.nn.Linear(inputs, outputs), torch.randn(rows, inputs, requires_grad=True)
    with FlopsByType() as counted:
        layer(x).sum().backward()
    assert counted.flops == {torch.float32: 3 * 2 * rows * inputs * outputs}


@given(items=small, channels=small, outputs=small, side=st.integers(3, 8))
def test_a_convolution_counts_each_output_once(items: int, channels: int, outputs: int, side: int) -> None:
    layer, x = torch.nn.Conv2d(channels, outputs, 3), torch.randn(items, channels, side, side)
    with torch.no_grad(), FlopsByType() as counted:
        layer(x)
    assert counted.flops == {torch.float32: 2 * items * outputs * (side - 2) ** 2 * channels * 9}


def test_types_are_counted_apart_and_the_rest_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the processor has no bfloat16 a large product takes a minute.
    monkeypatch.setattr("benchmarks.utilization.SIDE", 64)

    def step() -> None:
        torch.randn(2, 3).relu() @ torch.randn(3, 4)
        with torch.autocast("cpu", torch.bfloat16):
            torch.randn(5, 6) @ torch.randn(6, 7)

    found = utilization(step, 1.0, torch.device("cpu"))
    assert found["gflop"].keys() == found["peak_gflop_per_s"].keys() == {"float32", "bfloat16"}
    with FlopsByType() as counted:
        step()
    assert counted.flops == {torch.float32: 2 * 2 * 3 * 4, torch.bfloat16: 2 * 5 * 6 * 7}


def test_a_step_that_takes_twice_as_long_as_at_the_peak_is_half_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.utilization.peak", lambda dtype, device: 1e6)
    a = torch.ones(50, 100)
    found = utilization(lambda: a @ a.T, 2 * (2 * 50 * 50 * 100) / 1e6, torch.device("cpu"))
    assert found["utilization"] == 0.5
