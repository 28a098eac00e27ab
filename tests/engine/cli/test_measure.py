"""Commands that evaluate and compare runs, and that place files."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import soundfile
from PIL import Image

from cpc_engine.evaluation.ood import Verdict
from cpc_engine.storage.files import REASONS
from cpc_engine.storage.folder import RunFolder
from tests.support.command_line import Cli, sound


@pytest.mark.parametrize("kind", ["tones", "pairs"])
def test_evaluate(kind: str, cli: Cli, root: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    run = shutil.copytree(root / request.getfixturevalue(kind), tmp_path / "copy")
    answer = cli("evaluate", run, "--json")
    evaluation = answer.document
    metrics = ("alignment", "uniformity", "effective_rank")
    prefixes = ("",) if kind == "tones" else ("audio.", "image.")
    assert all(isinstance(evaluation[f"{prefix}{name}"], float) for prefix in prefixes for name in metrics)
    assert evaluation["probe"]
    for row in evaluation["probe"].values():
        low, high = row["interval"]
        assert 0 <= low <= row["trained"] <= high <= 1
        assert 0 <= row["untrained"] <= 1
        assert 0 <= row["raw"] <= 1
    assert "loading data" in answer.err
    assert json.loads((run / "evaluation.json").read_text()) == evaluation
    assert "probe" in cli("evaluate", run).out


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_run_that_cannot_be_written_is_refused_before_it_is_evaluated(
    number: int, cli: Cli, root: Path, tones: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a read-only disk; permissions would not bind root, as whom tests often run."""
    run = shutil.copytree(root / tones, tmp_path / "copy")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    worked: list[str] = []

    def refuse(path: Path, mode: str = "r", **options: Any) -> Any:
        if mode[0] in "wax":
            raise OSError(number, os.strerror(number))
        return open(path, mode, **options)

    monkeypatch.setattr("cpc_engine.storage.files.open", refuse, raising=False)
    monkeypatch.setattr("cpc_engine.execution.evaluate.load_data", lambda *_: worked.append("loading data"))
    answer = cli("evaluate", run)
    assert answer.code != 0
    assert answer.err == f"error: cannot write {run / 'run.json'}: {REASONS[number]}\n"
    assert worked == []
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_folder_without_the_right_to_write_is_refused_before_it_is_evaluated(
    cli: Cli, root: Path, tones: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(root / tones, tmp_path / "copy")
    worked: list[str] = []
    monkeypatch.setattr("cpc_engine.execution.evaluate.load_data", lambda *_: worked.append("loading data"))
    run.chmod(0o555)
    if os.access(run, os.W_OK):
        pytest.skip("permissions do not bind root")
    try:
        answer = cli("evaluate", run)
    finally:
        run.chmod(0o755)
    assert answer.code != 0
    assert "cannot write" in answer.err
    assert worked == []


def test_embed(cli: Cli, root: Path, tones: str, tmp_path: Path) -> None:
    good = sound(tmp_path / "good.wav", 440)
    Image.new("RGB", (40, 40)).save(tmp_path / "picture.png")
    (tmp_path / "empty.wav").write_bytes(b"")
    names = ["good.wav", "picture.png", "empty.wav", "missing.wav", "checkpoints"]
    (tmp_path / "checkpoints").mkdir()
    answer = cli("embed", tones, *names, "--runs", root, "--json")
    document = answer.document
    assert answer.code == 0
    assert document["run"] == tones
    assert [item["file"] for item in document["items"]] == names
    assert [item["status"] for item in document["items"]] == ["ok", "error", "error", "error", "error"]
    reasons = ["cannot place pictures", "empty file", "no such file", "a folder"]
    for item, reason in zip(document["items"][1:], reasons, strict=True):
        assert reason in item["error"]
    item = document["items"][0]
    assert np.isfinite([item["x"], item["y"], *item["embedding"]]).all()
    assert len(item["neighbors"]) == 5
    assert item["probabilities"] is None, "not evaluated yet"
    assert item["verdict"] in get_args(Verdict)
    assert "good.wav: x " in cli("embed", tones, good, "--runs", root).out


def test_embed_on_an_evaluated_run_gives_probabilities_and_a_verdict(
    cli: Cli, root: Path, tones: str, tmp_path: Path
) -> None:
    run = shutil.copytree(root / tones, tmp_path / "copy")
    cli("evaluate", run)
    good = sound(tmp_path / "good.wav", 440)
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.2, 8000), 8000)
    tone, noise = cli("embed", run, good, "noise.wav", "--json").document["items"]
    classes = RunFolder(run).facts()["classes"]
    assert list(tone["probabilities"]) == classes
    assert sum(tone["probabilities"].values()) == pytest.approx(1)
    assert tone["predicted"] in classes
    assert 0 <= tone["stability"]["cosine"] <= 1
    assert noise["typicality"] == pytest.approx(100 / (noise["validation_items"] + 1))
    assert noise["verdict"] == "cannot be told: too few validation items"
    line = cli("embed", run, "noise.wav").out
    assert noise["verdict"] in line
    assert f"class {noise['predicted']} (" in line


def test_embed_without_a_usable_file_is_an_error_that_names_each_file(cli: Cli, root: Path, tones: str) -> None:
    answer = cli("embed", tones, "a.wav", "b.wav", "--runs", root, "--json")
    assert answer.error == "none of the 2 files could be used"
    assert [item["file"] for item in answer.document["items"]] == ["a.wav", "b.wav"]
    assert cli("embed", tones, "a.wav", "--runs", root, "--json").error == "a.wav: no such file"


CLEAR_ERRORS = {
    "img_truncated.jpg",
    "img_dimension_bomb.png",
    "img_zero_width.gif",
    "aud_header_no_data.wav",
    "aud_f32_nan_8k.wav",
    "aud_lfs_pointer.wav",
    "aud_zero_bytes.wav",
}


EITHER = {
    "img_animated.gif",
    "img_animated.webp",
    "img_photo.heif",
    "aud_f32_stereo_44k.wav",
    "aud_big_endian_rifx.wav",
    "aud_aac.m4a",
    "aud_truncated.wav",
    "aud_bad_header_s24_3ch.wav",
}


def test_odd_files_behave_as_listed(cli: Cli, root: Path, pairs: str, shared: Path) -> None:
    files = [path for path in sorted((shared / "data" / "odd_inputs").iterdir()) if path.suffix != ".md"]
    answer = cli("embed", pairs, *files, "--runs", root, "--json")
    assert answer.code == 0, "some of them are valid"
    items = answer.document["items"]
    assert len(items) == 30
    for item in items:
        name = Path(item["file"]).name
        if name not in EITHER:
            assert item["status"] == ("error" if name in CLEAR_ERRORS else "ok"), item
        if item["status"] == "error":
            assert name in item["error"]
            assert "\n" not in item["error"]
            assert len(item["error"]) > len(name) + 5
        else:
            assert np.isfinite(item["embedding"]).all()


def test_compare(cli: Cli, root: Path, tones: str, pairs: str) -> None:
    document = cli("compare", tones, pairs, "--runs", root, "--json").document
    assert document["runs"] == [tones, pairs]
    assert document["settings"]["data.dataset"] == ["tones", "tones_bars"]
    assert "run.seed" not in document["settings"]  # runs that differ in their seed alone are one arm
    assert document["seeds"] == [0, 1]
    assert document["arms"] == {"A": [tones], "B": [pairs]}
    assert "optimizer.steps" not in document["settings"]
    assert all(len(values) == 2 for values in document["metrics"].values())
    assert document["metrics"]["loss"][0] == RunFolder(root / tones).records()[-1]["loss"]
    assert f"A = {tones}\n" in cli("compare", tones, pairs, tones, "--runs", root).out  # a repeated run counts once
    repeated = cli("compare", tones, root / tones, "--runs", root, "--json").document
    assert (repeated["runs"], repeated["seeds"], repeated["arms"]) == ([tones], [0], {"A": [tones]})


def test_a_run_is_given_by_its_folder_or_its_id(cli: Cli, root: Path, tones: str, tmp_path: Path) -> None:
    good = sound(tmp_path / "good.wav", 440)
    by_id = cli("embed", tones, good, "--runs", root, "--json").document
    assert cli("embed", root / tones, good, "--json").document == by_id
