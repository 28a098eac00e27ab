"""Distributions of similarities equal a count one by one, and the recorded means; staleness equals encoding by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from cpc_engine.anatomy.frozen import Batch
from cpc_engine.anatomy.lineup import line_up
from cpc_engine.anatomy.opened import Opened
from cpc_engine.anatomy.over_time import BINS, distribution, staleness
from cpc_engine.evaluation.metrics import renewed
from cpc_engine.execution.execute import execute
from cpc_engine.execution.weight_snapshots import kept_snapshots
from cpc_engine.negatives.identity import NO_POSITION, item_index
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

RUNS: dict[str, dict[str, object]] = {
    "cosine": {"sampler__queue_size": 300, "sampler__perturbed": True, "sampler__shuffled": "batch"},
    "dot": {"sampler__queue_size": 100, "sampler__mode": "reference", "loss__similarity": "dot"},
    "momentum": {"sampler__queue_size": 300, "sampler__key_momentum": 0.9, "loss__item_weight": 1.0},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    root = tmp_path_factory.mktemp("over-time")
    made = {}
    for name, changes in RUNS.items():
        made[name] = RunFolder.create(root, tiny(run__precision="32-true", optimizer__steps=10, **changes))
        assert execute(made[name], Control()).status == "finished"
    return made


@pytest.mark.parametrize("name", list(RUNS))
def test_counts_are_those_of_every_line_up(folders: dict[str, RunFolder], name: str) -> None:
    for frozen in Batch(Opened(folders[name])).losses.values():
        found = distribution(frozen, most=9)
        total = len(frozen.parts)
        anchors = [round(i * (total - 1) / 8) for i in range(9)] if total > 9 else list(range(total))
        low, high = float(found.edges[0]), float(found.edges[-1])
        expected = {source: [0] * BINS for source in found.sources}
        positive = [0] * BINS
        # Products are summed up in another order, so what is as similar as the positive may be on either side.
        least, most = (dict.fromkeys(found.sources, 0) for _ in range(2))

        def bin_of(value: float, low: float = low, high: float = high) -> int:
            return max(0, min(BINS - 1, int((value - low) / (high - low) * BINS)))

        for anchor in anchors:
            lineup = line_up(frozen, anchor)
            positive[bin_of(lineup.similarity)] += 1
            for source, strip in lineup.strips.items():
                for value in strip.similarities[strip.counts].tolist():
                    expected[source][bin_of(value)] += 1
                    least[source] += value > lineup.similarity + 1e-5
                    most[source] += value > lineup.similarity - 1e-5
        assert int(found.positive.sum()) == len(anchors)
        assert found.positive.tolist() == pytest.approx(positive, abs=1)
        for source, counts in expected.items():
            assert int(found.sources[source].sum()) == sum(counts)
            # A value on the edge of two bins may fall into either, by the last bit of the product.
            assert least[source] <= found.closer[source] <= most[source]
            assert most[source] - least[source] <= len(anchors), "one each: a copy of the positive"
            moved = sum(abs(a - b) for a, b in zip(found.sources[source].tolist(), counts, strict=True)) / 2
            assert moved <= max(2, 0.002 * sum(counts))
        assert sum(found.closer.values()) > 0


@pytest.mark.parametrize("name", list(RUNS))
def test_means_and_deviations_are_those_that_the_next_step_recorded(folders: dict[str, RunFolder], name: str) -> None:
    opened, records = Opened(folders[name]), folders[name].records()
    for step in kept_snapshots(folders[name]):
        for frozen in Batch(opened.at(step)).losses.values():
            found = distribution(frozen, most=10**6)
            assert found.step == step
            centers = (found.edges[1:] + found.edges[:-1]) / 2
            width = float(found.edges[1] - found.edges[0])
            row = records[step]
            part = (row["modalities"] if frozen.term == "prediction" else row["items"])[frozen.modality]
            mean = float((centers * found.positive).sum() / found.positive.sum())
            assert mean == pytest.approx(part["positive_similarity"], abs=0.6 * width)
            for source, stats in part["sources"].items():
                counts = found.sources[source]
                mean = float((centers * counts).sum() / counts.sum())
                spread = float(((centers - mean) ** 2 * counts).sum() / counts.sum()) ** 0.5
                assert mean == pytest.approx(stats["similarity"], abs=0.6 * width)
                assert spread == pytest.approx(stats["spread"], abs=0.6 * width)


@pytest.mark.parametrize("name", list(RUNS))
def test_staleness_is_that_of_each_item_encoded_by_hand(folders: dict[str, RunFolder], name: str) -> None:
    present = Opened(folders[name])
    for opened in (present, present.at(4)):
        found = staleness(opened, "audio", most=10**6)
        assert found is not None
        trainer = opened.trainer
        encoder = (trainer.ema or trainer.model.encoders)["audio"]
        stored = trainer.prediction.samplers["audio"].queue.state()
        assert len(found.ages) == len(stored["ids"])
        for i in range(0, len(stored["ids"]), 17):
            item = int(item_index(stored["ids"][i]))
            position = int(stored["ids"][i]) & NO_POSITION
            sound = trainer.data.train.take(torch.tensor([item])).values("audio")
            with torch.no_grad():
                latents = encoder(trainer.model.features["audio"](sound)).latents[0]
            cosine = float(F.cosine_similarity(latents[position], stored["vectors"][i], dim=0))
            assert float(found.cosines[i]) == pytest.approx(cosine, abs=1e-4)
            assert int(found.ages[i]) == opened.step - int(stored["steps"][i]) >= 1


def test_an_item_of_which_several_latents_are_queued_is_encoded_once(folders: dict[str, RunFolder]) -> None:
    opened = Opened(folders["cosine"])
    ids = opened.samplers("prediction")["audio"].queue.state()["ids"][:64]
    encoded: list[int] = []
    encoders = opened.trainer.ema or opened.trainer.model.encoders
    hook = encoders["audio"].register_forward_hook(lambda _, given, __: encoded.append(len(given[0])))
    renewed(opened.trainer, "audio", ids)
    hook.remove()
    assert sum(encoded) == len(item_index(ids).unique()) < len(ids)


def test_a_queue_that_is_not_stored_says_nothing_of_drift(folders: dict[str, RunFolder], tmp_path: Path) -> None:
    import shutil

    copy = RunFolder(Path(shutil.copytree(folders["cosine"].path, tmp_path / "copy")))
    (copy.path / "checkpoint.safetensors").unlink()
    opened = Opened(copy)
    assert opened.refilled
    assert staleness(opened, "audio") is None
    assert staleness(opened.at(4), "audio") is not None, "the snapshot stores its queue"
