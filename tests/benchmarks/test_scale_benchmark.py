"""What ranks exchange in a step is what docs/scale.md says, by the numbers that the benchmark has kept."""

from __future__ import annotations

import json

from benchmarks.scale import CASES, configuration, predicted
from cpc_engine.data import load_dataset
from cpc_engine.execution.device import fabric_on
from cpc_engine.training.trainer import Trainer
from tests.support.paths import REPOSITORY


def test_the_bytes_that_were_counted_are_those_of_the_formula() -> None:
    found = json.loads((REPOSITORY / "benchmarks/results/scale.json").read_text())["cases"]
    assert found.keys() == CASES.keys()
    for by_count in found.values():
        for count, row in by_count.items():
            assert row["gathered_bytes"] == row["gathered_bytes_predicted"]
            assert row["averaged_bytes"] == (row["trained_bytes"] if int(count) > 1 else 0)
        assert by_count["2"]["kept_bytes"] < 0.6 * by_count["1"]["kept_bytes"]


def test_the_example_of_the_page_is_right() -> None:
    config = configuration("tones").replace({"data.train_items": 64, "data.test_items": 32})
    trainer = Trainer(config, load_dataset(config), fabric_on("cpu", "32-true"))
    numbers = 16 * 64 + 41 * 64 + (16 + 3) * 256
    assert numbers == 8512
    assert predicted(trainer, 2) == 4 * numbers * trainer.order.batch_size // 2
    assert sum(p.numel() for p in trainer.model.parameters() if p.requires_grad) == 388_608
    page = (REPOSITORY / "docs/scale.md").read_text()
    assert "F = 8512; P = 388 608" in page
