"""The pair term with only a few pairs: both ways to choose its positives bring a sound to the pictures of its class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cpc_engine
from tests.support.tiny import tiny

PAIRS = 40  # four classes, a fifth of them held out


def retrieved(root: Path, **changes: Any) -> float:
    """Share of held-out items whose nearest item of the other modality has their class; mean of both directions."""
    config = tiny(
        data__dataset="tones_bars",
        data__train_items=PAIRS,
        data__test_items=8,
        optimizer__steps=100,
        optimizer__learning_rate=3e-3,
        evaluation__every=100,
        **changes,
    )
    last = cpc_engine.train(config, root=root, progress=False).metrics.iloc[-1]
    return float(last["geometry.retrieval_class"] + last["geometry.retrieval_class_reverse"]) / 2


@pytest.mark.slow
def test_forty_pairs_are_enough(tmp_path: Path) -> None:
    without = retrieved(tmp_path, loss__pair_weight=0.0)
    found = {kind: retrieved(tmp_path, loss__pair_weight=1.0, loss__pair_positives=kind) for kind in ("pair", "class")}
    assert min(found.values()) >= 0.75 > 0.5 >= without, (found, without)
