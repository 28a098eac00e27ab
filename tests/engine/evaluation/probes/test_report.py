"""The report of a small network: rows against what its features give by hand, and progress in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

import cpc_engine as cpc
from cpc_engine.comparison.collect import final_metrics
from cpc_engine.data import load_dataset
from cpc_engine.data.splits import sample_rows
from cpc_engine.evaluation.embed import embed
from cpc_engine.evaluation.probes.probe import fit_probe
from cpc_engine.evaluation.probes.report import probe_report
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from cpc_engine.training.initial import new_model
from tests.support.tiny import tiny


def test_rows_are_what_the_features_give() -> None:
    """Of a sample of the training items that is not their beginning."""
    config = tiny(evaluation__probe_items=32)
    data = load_dataset(config, torch.device("cpu"))
    model = new_model(config, data)
    lines: list[tuple[str, float]] = []
    report = probe_report(model, model, data, config, lambda text, share: lines.append((text, share)))
    splits = (
        data.train.take(sample_rows(data.train, config.evaluation.probe_items, config.data.seed)),
        data.validation,
        data.test,
    )
    assert len(splits[0]) == 32 < len(data.train)
    assert not splits[0].labels.equal(data.train.labels[:32])
    [modality] = model.modalities
    x = [embed(model, split)[modality].mean_context.numpy() for split in splits]
    y = [split.labels.numpy() for split in splits]
    probe = fit_probe(x[0], y[0], x[1], y[1], config.evaluation.strengths, len(data.classes))
    row = report.rows["mean_context"]
    assert row.correct == "".join("1" if right else "0" for right in probe.predict(x[2]) == y[2])
    assert row.strength == probe.strength
    near = KNeighborsClassifier(row.neighbors, metric="cosine").fit(x[0], y[0])
    assert row.knn == pytest.approx(near.score(x[2], y[2]), abs=1 / len(y[2]))
    for found in report.rows.values():
        assert found.converged
        assert found.trained == found.correct.count("1") / len(found.correct)
        assert found.untrained == found.untrained_correct.count("1") / len(found.untrained_correct)
        assert (found.trained, found.knn) == (found.untrained, found.untrained_knn)  # the same network twice
    texts = list(dict.fromkeys(text for text, _ in lines))
    assert texts[0] == f"probe 1 of 15: raw {modality}"
    assert {"embedding training items", "embedding test items, untrained"} < set(texts)
    assert texts[-1].startswith("probe 15 of 15: ")
    shares = [share for _, share in lines]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_evaluations_of_older_versions_open(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    assert execute(folder, Control()).status == "finished"
    run = cpc.open(folder.path)
    document = json.loads(json.dumps(run.evaluate().document))
    assert {"knn", "knn.mean_context"} <= set(final_metrics(folder))
    for row in document["probe"].values():
        for name in ("knn", "untrained_knn", "neighbors", "correct", "untrained_correct", "at_bound", "converged"):
            del row[name]
    folder.save_json("evaluation", document)
    assert run.evaluation is not None
    assert run.evaluation.probes["knn"].isna().all()
    assert "–" in repr(run.evaluation)
    assert not {name for name in final_metrics(folder) if name.startswith("knn")}
    assert "probe" in final_metrics(folder)
