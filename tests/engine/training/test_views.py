"""Views of training items: what differs between those that are compared, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cpc_engine.data import load_dataset
from cpc_engine.training.initial import new_model
from cpc_engine.training.views import Views
from tests.support.tiny import tiny


@pytest.mark.parametrize("dataset", ["bars", "tones_bars"])
def test_views_whose_positions_are_compared_mirror_a_picture_both_or_not_at_all(dataset: str) -> None:
    """Else the cell to the right would be one of a mirrored picture for half of the items."""
    off = {"image__flip": True, "image__crop": 0.0, "image__jitter": 0.0, "image__color_drop": 0.0}
    views = {}
    for compared in (False, True):
        config = tiny(data__dataset=dataset, context__other_view=compared, **off)
        data = load_dataset(config)
        assert data.train.image is not None
        image = torch.zeros_like(data.train.image)
        image[..., image.shape[-1] // 2 :] = 255
        generator = torch.Generator().manual_seed(0)
        drawn = Views(config, new_model(config, data), replace(data.train, image=image), generator)
        window = drawn.window(torch.arange(len(image)))
        left = [drawn.features(window)["image"][:, 0, 4, 4] > 0 for _ in range(2)]
        assert 0.2 < left[0].float().mean() < 0.8, "some are mirrored"
        views[compared] = left
    assert torch.equal(*views[True])
    assert not torch.equal(*views[False])
