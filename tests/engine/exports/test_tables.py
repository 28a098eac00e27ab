"""Embeddings as files: what is read back is what the run computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cpc_engine as cpc
from cpc_engine.cli import main
from cpc_engine.exports.embeddings import Embeddings
from cpc_engine.exports.tables import write_embeddings
from cpc_engine.storage.folder import RunFolder
from tests.support.exported import trained


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(tmp_path_factory.mktemp("runs"), data__dataset="tones_bars", optimizer__steps=1)


def exported(folder: RunFolder, format: str, out: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main(["export", str(folder.path), "--format", format, "--out", str(out), "--json"]) == 0
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    assert (document["run"], document["format"]) == (folder.id, format)
    return document


def expected(folder: RunFolder) -> tuple[np.ndarray, pd.DataFrame]:
    parts = [cpc.open(folder).embed(split) for split in ("train", "validation", "test")]
    return np.concatenate([vectors for vectors, _ in parts]), pd.concat([rows for _, rows in parts], ignore_index=True)


def test_every_table_holds_the_same(folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors, rows = expected(folder)
    document = exported(folder, "parquet", tmp_path / "new" / "t.parquet", capsys)
    assert (document["items"], document["dimensions"]) == vectors.shape
    table = pd.read_parquet(tmp_path / "new" / "t.parquet")
    np.testing.assert_allclose(np.stack(table["vector"].to_list()), vectors, atol=1e-6)
    assert table["key"].tolist() == rows["name"].tolist()
    assert table["class"].tolist() == rows["class"].tolist()
    assert table["modality"].tolist() == rows["modality"].tolist()
    assert table["split"].tolist() == sorted(table["split"], key=["train", "validation", "test"].index)
    assert not table.duplicated(["key", "modality"]).any()

    exported(folder, "csv", tmp_path / "t.csv", capsys)
    text = pd.read_csv(tmp_path / "t.csv")
    np.testing.assert_allclose(text.filter(regex=r"^v\d+$").to_numpy(), vectors, rtol=1e-5, atol=1e-6)
    assert text["split"].tolist() == table["split"].tolist()

    exported(folder, "npz", tmp_path / "t.npz", capsys)
    arrays = np.load(tmp_path / "t.npz", allow_pickle=False)
    np.testing.assert_allclose(arrays["vectors"], vectors, atol=1e-6)
    assert arrays["classes"][arrays["labels"]].tolist() == rows["class"].tolist()

    exported(folder, "projector", tmp_path / "p", capsys)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "p" / "tensors.tsv"), vectors, rtol=1e-4, atol=1e-6)


def test_test_items_lie_where_the_map_has_them(
    folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(folder, "parquet", tmp_path / "t.parquet", capsys)
    table = pd.read_parquet(tmp_path / "t.parquet").query("split == 'test'").set_index(["key", "modality"])
    drawn = cpc.open(folder).map("pca").set_index(["name", "modality"])
    np.testing.assert_allclose(table.loc[drawn.index, ["x", "y"]], drawn[["x", "y"]], atol=1e-4)


def test_tensorboard_reads_the_projectors_configuration(tmp_path: Path) -> None:
    """Names with tabs and line breaks must not break the table, whose first line is a header."""
    config = pytest.importorskip("tensorboard.plugins.projector.projector_config_pb2")
    text_format = pytest.importorskip("google.protobuf.text_format")
    rows = pd.DataFrame(
        {
            "key": ["a\tb", "c\nd"],
            "split": "test",
            "class": ["x", "y"],
            "label": [0, 1],
            "group": ["a", "c"],
            "modality": "audio",
            "x": 0.0,
            "y": 0.0,
        }
    )
    files = write_embeddings(Embeddings(np.eye(2, dtype=np.float32), rows, ("x", "y")), "projector", tmp_path)
    assert {path.name for path in files} >= {"tensors.tsv", "metadata.tsv"}
    read = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), config.ProjectorConfig())
    assert [(one.tensor_path, one.metadata_path) for one in read.embeddings] == [("tensors.tsv", "metadata.tsv")]
    lines = (tmp_path / "metadata.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["key", "a b", "c d"]
    [page] = json.loads((tmp_path / "projector_config.json").read_text())["embeddings"]
    assert page["tensorShape"] == [2, 2]


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "plain")


def test_names_that_a_spreadsheet_would_compute_are_defused_in_csv(tmp_path: Path) -> None:
    text = {name: list(FORMULAS) for name in ("key", "class", "group")}
    numbers = {"label": list(range(-2, 3)), "x": np.linspace(-1, 1, 5, dtype=np.float32), "y": [-0.5] * 5}
    rows = pd.DataFrame({**text, "split": "train", "modality": "audio", **numbers})
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    embeddings = Embeddings(vectors, rows, FORMULAS)
    write_embeddings(embeddings, "csv", tmp_path / "t.csv")
    table = pd.read_csv(tmp_path / "t.csv", dtype=dict.fromkeys(text, str))
    for name in text:
        assert table[name].tolist() == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "plain"]
    for name, values in numbers.items():
        np.testing.assert_allclose(table[name], values, rtol=1e-6)
    np.testing.assert_allclose(table[["v0", "v1", "v2"]], vectors, rtol=1e-6)
    write_embeddings(embeddings, "parquet", tmp_path / "t.parquet")
    assert pd.read_parquet(tmp_path / "t.parquet")["class"].tolist() == list(FORMULAS), "no spreadsheet opens it"
