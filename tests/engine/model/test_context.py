"""Reading orders of the context network against a slow reading, cell by cell."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_engine.config import RunConfig
from cpc_engine.config.network import ContextConfig
from cpc_engine.model import MultiModalCPC
from cpc_engine.terms import READING_ORDERS, Modality

SMALL = {"context.hidden_dim": 12, "context.latent_dim": 8, "audio.width": 8, "image.width": 8, "image.size": 64}
ORDERS = get_args(ContextConfig.model_fields["orders"].annotation)


def walks(orders: str, modality: Modality, length: int) -> list[list[int]]:
    """The positions of every order, by walking along rows and columns."""
    forward = list(range(length))
    found = [forward]
    if orders != "forward":
        found.append(forward[::-1])
    if orders == "four_ways" and modality == "image":
        side = round(length**0.5)
        columns = [row * side + column for column in range(side) for row in range(side)]
        found += [columns, columns[::-1]]
    return found


@settings(max_examples=25)
@given(
    orders=st.sampled_from(ORDERS),
    modality=st.sampled_from(["audio", "image"]),
    grid=st.sampled_from([2, 4, 8]),
    wrap=st.booleans(),
    layers=st.sampled_from([1, 2]),
    horizons=st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True),
)
def test_every_order_is_read_and_predicted(
    orders: str, modality: Modality, grid: int, wrap: bool, layers: int, horizons: list[int]
) -> None:
    changes = {"context.orders": orders, "image.grid": grid, "image.wrap": wrap, "context.layers": layers}
    config = RunConfig().replace({**SMALL, **changes, "context.horizons": horizons})
    torch.manual_seed(0)
    model = MultiModalCPC(config, (modality,)).eval()
    features = torch.randn(2, 64, 101) if modality == "audio" else torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        encoding = model({modality: features})[modality]
        length = encoding.latents.shape[1]
        expected = walks(orders, modality, length)
        assert len(expected) == config.reading_orders(modality) <= len(READING_ORDERS)
        assert encoding.orders.tolist() == expected
        sums = torch.zeros_like(encoding.contexts)
        predictions: dict[int, list[torch.Tensor]] = {k: [] for k in encoding.predictions}
        cells: dict[int, list[tuple[int, int]]] = {k: [] for k in encoding.predictions}
        for walk in expected:
            state = None
            for at, position in enumerate(walk):
                out, state = model.gru(encoding.latents[:, [position]], state)
                sums[:, position] += out[:, 0]
                for k in encoding.predictions:
                    if at + k >= length:
                        continue
                    if modality == "image" and not wrap and at % grid + k % grid >= grid:
                        continue
                    predictions[k].append(model.predictors[modality].get_submodule(str(k))(out[:, 0]))
                    cells[k].append((position, walk[at + k]))
    torch.testing.assert_close(encoding.contexts, sums / len(expected))
    assert list(encoding.predictions) == [k for k in sorted(horizons) if k < length]
    for k, vectors in encoding.predictions.items():
        assert list(zip(encoding.anchors[k].tolist(), encoding.targets[k].tolist(), strict=True)) == cells[k]
        torch.testing.assert_close(vectors, torch.stack(predictions[k], 1))
        torch.testing.assert_close(encoding.futures(k), encoding.latents[:, [target for _, target in cells[k]]])
        assert int(encoding.targets[k].min()) >= config.first_target(modality)


def test_read_forward_alone_nothing_has_changed() -> None:
    """Runs of earlier versions have no `context.orders`; their contexts are those of one GRU over the sequence."""
    torch.manual_seed(0)
    model = MultiModalCPC(RunConfig().replace(SMALL), ("audio",)).eval()
    with torch.no_grad():
        encoding = model({"audio": torch.randn(2, 64, 101)})["audio"]
        plain = torch.nn.GRU(8, 12, batch_first=True)
        plain.load_state_dict(model.gru.state_dict())
        assert torch.equal(encoding.contexts, plain(encoding.latents)[0])


@pytest.mark.parametrize("orders", ORDERS)
def test_only_positions_with_something_before_them_are_predicted(orders: str) -> None:
    config = RunConfig().replace({**SMALL, "context.orders": orders, "context.horizons": [1], "image.grid": 4})
    model = MultiModalCPC(config, ("image",)).eval()
    with torch.no_grad():
        encoding = model({"image": torch.randn(1, 3, 64, 64)})["image"]
    every = {"forward": 12, "both_ways": 24, "four_ways": 48}
    assert len(encoding.targets[1]) == every[orders]
    predicted = set(encoding.targets[1].tolist())
    assert predicted == ({*range(16)} if orders != "forward" else {t for t in range(16) if t % 4})
