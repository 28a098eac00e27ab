"""Tests of the command line: JSON or text on stdout, progress on stderr, and one line for every error."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args

import numpy as np
import pytest
import soundfile
from PIL import Image

from cpc_engine.cli import main
from cpc_engine.cli.commands import _configured
from cpc_engine.cli.parser import parse
from cpc_engine.config import RunConfig
from cpc_engine.evaluation.ood import Verdict
from cpc_engine.execution.execute import execute
from cpc_engine.experiments.definitions import EXPERIMENTS
from cpc_engine.presets import PRESETS
from cpc_engine.settings import describe
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.paths import REPOSITORY
from tests.support.tiny import CHANGES, tiny, wait_until

SUMMARY = {"run", "path", "status", "steps", "loss_first", "loss_last", "seconds"}


def sets(**changes: Any) -> list[str]:
    """--set options that make a run tiny."""
    values = CHANGES | {name.replace("__", "."): value for name, value in changes.items()}
    values.pop("data.dataset")
    return [f"--set={path}={value if isinstance(value, str) else json.dumps(value)}" for path, value in values.items()]


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """All of stdout as one strict JSON document."""

        def refuse(name: str) -> NoReturn:
            raise AssertionError(f"{name} is no JSON")

        return json.loads(self.out, parse_constant=refuse)

    @property
    def error(self) -> str:
        """The one error line on stderr; with --json, stdout has the same message."""
        assert self.code == 2, self
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        text = lines[0].removeprefix("error: ")
        assert self.err.splitlines()[-1] == lines[0]
        if self.out:
            assert self.document["error"] == text
        return text


Cli = Callable[..., Answer]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line in this process, in an empty folder; runs are in its checkpoints/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished runs, of audio and of pairs."""
    folder = tmp_path_factory.mktemp("runs")
    for config in (tiny(run__name="first"), tiny(data__dataset="tones_bars", run__seed=1)):
        assert execute(RunFolder.create(folder, config), Control()).status == "finished"
    return folder


@pytest.fixture(scope="module")
def tones(root: Path) -> str:
    return next(path.name for path in root.iterdir() if not path.name.startswith("tones-bars"))


@pytest.fixture(scope="module")
def pairs(root: Path) -> str:
    return next(path.name for path in root.iterdir() if path.name.startswith("tones-bars"))


def sound(path: Path, pitch: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = (9000 * np.sin(2 * np.pi * pitch * np.arange(4000) / 8000)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
    return path


def sounds(folder: Path, classes: dict[str, int]) -> Path:
    """A folder of sounds, with the given number of each class."""
    for index, (name, count) in enumerate(classes.items()):
        for take in range(count):
            sound(folder / name / f"{take:02}.wav", 200 * (index + 1) + 5 * take)
    return folder


# --- output of the commands ----------------------------------------------------------------------------------------


def test_presets_and_settings(cli: Cli) -> None:
    presets = cli("presets", "--json").document
    assert [row["name"] for row in presets] == list(PRESETS)
    for row in presets:
        assert RunConfig().replace(row["config"]) == PRESETS[row["name"]].config()
    assert all(name in cli("presets").out for name in PRESETS)
    rows = cli("settings", "--json").document
    assert [row["path"] for row in rows] == [setting.path for setting in describe(RunConfig)]
    assert all(row["path"] in cli("settings").out for row in rows)
    starts = {line.index(PRESETS[line.split()[0]].teaches) for line in cli("presets").out.splitlines()}
    assert len(starts) == 1, "the descriptions are one column"


def test_the_old_name_of_settings_works_and_is_not_shown(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("knobs", "--json").document == cli("settings", "--json").document
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "knobs" not in capsys.readouterr().out
    assert "knobs" not in cli("trian").error


def test_the_help_of_experiment_names_every_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["experiment", "--help"])
    words = set(re.findall(r"\w+", capsys.readouterr().out))
    assert set(EXPERIMENTS) <= words


def test_train_prints_one_document_and_leaves_a_complete_run(cli: Cli, tmp_path: Path) -> None:
    answer = cli("train", "--preset", "tones", *sets(), "--steps", 2, "--seed", 3, "--name", "7", "--json")
    summary = answer.document
    assert answer.code == 0
    assert set(summary) >= SUMMARY
    assert (summary["status"], summary["steps"], summary["name"]) == ("finished", 2, "7")
    assert summary["loss_first"] > 0
    assert summary["loss_last"] > 0
    folder = RunFolder(Path(summary["path"]))
    assert folder.path.resolve().parent == tmp_path / "checkpoints"
    assert (folder.config().run.seed, folder.config().run.name) == (3, "7")
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    assert summary["loss_last"] == json.loads(lines[-1])["loss"]
    assert {"config.json", "weights.safetensors", "map.json"} <= set(os.listdir(folder.path))
    assert "2/2" in answer.err  # the progress bar
    assert "error" not in answer.err


def test_train_prints_text_without_json(cli: Cli) -> None:
    answer = cli("train", "--preset", "tones", *sets())
    assert answer.out.startswith("finished: 3 steps in ")
    assert Path(answer.out.splitlines()[1]).is_dir()


def test_a_configuration_file_and_changes_to_it(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("\ufeff" + tiny(run__name="from file").to_json(), encoding="utf-8")
    summary = cli(
        "train", "--config", "mine.json", "--set", "data.classes=220 Hz,440 Hz", "--steps", 1, "--json"
    ).document
    assert summary["name"] == "from file"
    assert summary["data"]["classes"] == ["220 Hz", "440 Hz"]
    assert summary["steps"] == 1


def test_list(cli: Cli, root: Path, tones: str, pairs: str) -> None:
    rows = cli("list", "--runs", root, "--json").document
    assert [row["run"] for row in rows] == [pairs, tones]  # newest first
    assert all(set(row) >= SUMMARY for row in rows)
    assert [Path(row["path"]) for row in rows] == [root / pairs, root / tones]
    assert tones in cli("list", "--runs", root).out
    assert cli("list", "--json").document == []
    assert cli("list").out == "no runs in checkpoints\n"


def test_control_characters_of_names_do_not_reach_the_terminal(cli: Cli, root: Path, tones: str) -> None:
    folder = RunFolder(Path(shutil.copytree(root / tones, "checkpoints/odd")))
    folder.rename("red \x1b[31m\x07", "")
    out = cli("list").out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "red \\x1b[31m\\x07" in out


def test_list_names_broken_runs_on_stderr(cli: Cli, root: Path, tones: str) -> None:
    shutil.copytree(root / tones, "checkpoints/good")
    shutil.copytree(root / tones, "checkpoints/bad")
    Path("checkpoints/bad/run.json").write_text("{")
    answer = cli("list", "--json")
    assert [row["run"] for row in answer.document] == ["good"]
    assert "left out: bad: run.json" in answer.err
    assert answer.code == 0


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


def test_in_a_separate_process(tmp_path: Path) -> None:
    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cpc_engine", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    done = python("train", "--preset", "tones", *sets(), "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) >= SUMMARY
    assert "Warning" not in done.stderr
    done = python("train", "--preset", "tonse", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (
        2,
        {"error": "unknown preset 'tonse' (did you mean 'tones'?)"},
    )
    assert done.stderr == "error: unknown preset 'tonse' (did you mean 'tones'?)\n"


# --- bad usage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "command (see cpc --help)"),
        ("trian", "'trian'"),
        ("train", "give --preset"),
        ("train --preset tonse", "did you mean 'tones'"),
        ("train --preset tones --config x.json", "not both"),
        ("train tones --preset keypad", "give one preset, not two (tones and keypad)"),
        ("train --preset tones --stpes 3", "--stpes"),
        ("train --preset tones --step 3", "--step"),
        ("train --preset tones --steps many", "--steps"),
        ("train --preset tones --steps", "--steps"),
        ("train --preset tones --steps 0", "optimizer.steps: "),
        ("train --preset tones --seed -1", "run.seed: "),
        ("train --preset tones --device gpu", "run.device: "),
        ("train --preset tones --set optimizer.stps=3", "did you mean 'optimizer.steps'"),
        ("train --preset tones --set optimizer.steps", "section.setting=value"),
        ("train --preset tones --set loss.temperature=0", "loss.temperature: "),
        ("train --preset tones --set context.horizons=0", "context.horizons.0: "),
        ("train --config missing.json", "cannot read missing.json: No such file"),
        ("train --config .", "cannot read .: Is a directory"),
        ("resume", "run"),
        ("resume nothing", "no run 'nothing' in checkpoints (checkpoints holds no runs)"),
        ("resume a/../b", "neither a run folder nor a run's id"),
        ("evaluate nothing", "no run 'nothing'"),
        ("embed nothing x.wav", "no run 'nothing'"),
        ("embed nothing", "FILE"),
        ("compare one", "RUN"),
        ("list extra", "extra"),
    ],
)
def test_bad_usage_gives_a_one_line_error(line: str, message: str, cli: Cli, tmp_path: Path) -> None:
    answer = cli(*line.split())
    assert message in answer.error
    assert answer.out == ""
    if line:
        assert cli(*line.split(), "--json").document == {"error": answer.error}
    assert not list(tmp_path.iterdir())  # nothing was started


@pytest.mark.parametrize("content", ["", "{", "[]", '{"data": {"volume": 11}}', '{"lss": {}}', "\x80"])
def test_a_configuration_file_that_does_not_fit(content: str, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_bytes(content.encode("latin-1"))
    assert cli("train", "--config", "mine.json", "--json").error
    assert not (tmp_path / "checkpoints").exists()


def test_no_such_device(cli: Cli) -> None:
    error = cli("train", "--preset", "tones", *sets(), "--device", "cuda:99", "--json").error
    assert error.startswith("no device 'cuda:99' here")
    assert "--device cpu" in error


def test_cuda_without_a_gpu(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "no device 'cuda' here" in cli("train", "--preset", "tones", *sets(), "--device", "cuda").error
    assert cli("train", "--preset", "tones", *sets(), "--device", "auto", "--json").document["device"] == "cpu"


def test_an_unknown_run_suggests_the_nearest_id(cli: Cli, root: Path, tones: str) -> None:
    assert f"did you mean '{tones}'" in cli("resume", tones[:-1], "--runs", root, "--json").error


# --- bad data ------------------------------------------------------------------------------------------------------


def folder_run(cli: Cli, *more: object) -> Answer:
    return cli("train", "--preset", "audio_folder", *sets(data__train_items=0, data__test_items=0), *more, "--json")


def test_data_that_cannot_be_used(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.wav").write_bytes(b"")
    cases = {
        "missing": "no such folder: ",
        "empty": "it needs one sub-folder per class",
        "file.wav": "not a folder: ",
        str(sounds(tmp_path / "one", {"cat": 20})): "at least two classes are needed, found cat",
        str(sounds(tmp_path / "few", {"cat": 20, "dog": 2})): "too few items of class 'dog'",
    }
    for path, message in cases.items():
        assert message in folder_run(cli, "--data", path).error
        assert not list((tmp_path / "checkpoints").iterdir()), "a run that never started leaves no folder"
    assert "data.path" in folder_run(cli).error
    assert "did you mean 'cat'" in folder_run(cli, "--data", tmp_path / "few", "--set", "data.classes=cta,dog").error


def test_unreadable_files_are_skipped_counted_and_named(cli: Cli, tmp_path: Path) -> None:
    folder = sounds(tmp_path / "mine", {"cat": 12, "dog": 12})
    (folder / "cat" / "broken.wav").write_bytes(b"RIFF....WAVEnothing")
    (folder / "dog" / "notes.txt").write_text("not a sound")
    answer = folder_run(cli, "--data", "mine")
    data = answer.document["data"]
    assert answer.code == 0
    assert data["skipped"] == 2
    assert sorted(line.split(":")[0] for line in data["skipped_files"]) == ["cat/broken.wav", "dog/notes.txt"]
    assert sum(data["items"].values()) == 24
    log = (Path(answer.document["path"]) / "log.jsonl").read_text()
    assert "skipped cat/broken.wav" in log
    plain = cli("train", "--preset", "audio_folder", *sets(data__train_items=0, data__test_items=0), "--data", "mine")
    assert "skipped 2 files, for example " in plain.out


def test_a_run_can_be_resumed_and_evaluated_from_another_folder(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative --data is stored as an absolute path."""
    sounds(tmp_path / "mine", {"cat": 20, "dog": 20})
    summary = folder_run(cli, "--data", "mine").document
    assert Path(summary["path"]).is_absolute() or (tmp_path / summary["path"]).is_dir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cli("evaluate", tmp_path / summary["path"], "--json").code == 0
    (tmp_path / "mine").rename(tmp_path / "moved")
    assert "no such folder" in cli("evaluate", tmp_path / summary["path"], "--json").error
    assert cli("evaluate", tmp_path / summary["path"], "--data", "../moved", "--json").code == 0
    sounds(tmp_path / "other", {"cow": 20, "dog": 20})
    assert "these data have" in cli("evaluate", tmp_path / summary["path"], "--data", "../other", "--json").error


# --- disks and folders ---------------------------------------------------------------------------------------------


def test_a_file_in_place_of_the_folder_of_runs(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    assert "a file stands where a folder is needed" in cli("train", "--preset", "tones", *sets(), "--json").error


def test_a_folder_of_runs_without_write_permission(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert cli("train", "--preset", "tones", *sets(), "--json").error.endswith("checkpoints: permission denied")


def test_a_disk_that_fills_up(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if run.json can no longer be written, the reason is reported and the run stays readable."""
    real, written = open, []

    def full(path: Any, mode: str = "r", **options: Any) -> Any:
        if mode[0] in "wa":
            written.append(Path(path).name)
            if written.count("metrics.jsonl") > 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, mode, **options)

    with monkeypatch.context() as patch:
        patch.setattr("cpc_engine.storage.files.open", full, raising=False)
        patch.setattr("cpc_engine.storage.folder.open", full, raising=False)
        answer = cli("train", "--preset", "tones", *sets(run__checkpoint_every=1), "--json")
    assert "metrics.jsonl: no space left on the disk" in answer.error
    (folder,) = map(RunFolder, (tmp_path / "checkpoints").iterdir())
    assert [record["step"] for record in folder.records()] == [1, 2]
    assert folder.has_tensors("weights")
    assert [row["steps"] for row in cli("list", "--json").document] == [2]


def test_broken_runs_give_a_one_line_error(cli: Cli, root: Path, tones: str, tmp_path: Path) -> None:
    good = sound(tmp_path / "good.wav", 440)

    def broken(name: str, content: bytes | None) -> Path:
        folder = tmp_path / f"without-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(root / tones, folder)
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        return folder

    half = (root / tones / "weights.safetensors").read_bytes()[:900]
    for command in (["embed", good], ["evaluate"]):
        for name, content in (
            ("weights.safetensors", half),
            ("weights.safetensors", None),
            ("run.json", None),
            ("run.json", b"{"),
            ("config.json", b'{"data": {"volume": 11}}'),
        ):
            run = broken(name, content)
            assert name.split(".")[0] in cli(command[0], run, *command[1:], "--json").error
    assert "map" in cli("embed", broken("map.json", None), good).error
    assert "not a run folder" in cli("embed", broken("config.json", None), good).error
    run = broken("metrics.jsonl", (root / tones / "metrics.jsonl").read_bytes()[:-40])
    assert cli("compare", run, root / tones, "--json").code == 0


# --- stopping and resuming -----------------------------------------------------------------------------------------


def test_resume_completes_a_stopped_run_and_refuses_a_finished_one(cli: Cli, tmp_path: Path) -> None:
    config = tiny(optimizer__steps=4)
    whole = RunFolder.create(tmp_path / "a", config)
    execute(whole, Control())
    folder, control = RunFolder.create(tmp_path / "b", config), Control()
    execute(folder, control, lambda event: control.stop() if isinstance(event, dict) and event["step"] == 2 else None)
    assert cli("list", "--runs", "b", "--json").document[0]["status"] == "stopped"
    summary = cli("resume", folder.path, "--json").document
    assert (summary["status"], summary["steps"], summary["path"]) == ("finished", 4, str(folder.path))
    assert (folder.path / "weights.safetensors").read_bytes() == (whole.path / "weights.safetensors").read_bytes()
    records = [{k: v for k, v in record.items() if k != "seconds"} for record in folder.records()]
    assert records == [{k: v for k, v in record.items() if k != "seconds"} for record in whole.records()]
    assert cli("resume", folder.id, "--runs", "b", "--json").error == f"{folder.id} has finished all its 4 steps"


def test_a_run_that_is_active_elsewhere_is_not_resumed(cli: Cli) -> None:
    folder = RunFolder.create(Path("checkpoints"), tiny())
    assert cli("resume", folder.id, "--json").error == f"{folder.id} is still going on"


def test_ctrl_c_leaves_a_stopped_run_that_resume_completes(cli: Cli, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cpc_engine", "train", "--preset", "tones", *sets(optimizer__steps=600), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        checkpoints = tmp_path / "checkpoints"
        wait_until(lambda: [p for p in checkpoints.glob("*/metrics.jsonl") if p.stat().st_size], "the first step")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    summary = json.loads(out)
    assert (process.returncode, summary["status"]) == (0, "stopped"), err
    assert "Traceback" not in err
    assert "stopping after this step" in err
    assert 1 <= summary["steps"] < 600
    assert cli("embed", summary["run"], sound(tmp_path / "good.wav", 440), "--json").code == 0
    resumed = cli("resume", summary["run"], "--json").document
    assert (resumed["status"], resumed["steps"]) == ("finished", 600)
    assert [record["step"] for record in RunFolder(Path(resumed["path"])).records()] == list(range(1, 601))


def test_ctrl_c_outside_training_ends_quietly(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("cpc_engine.cli.commands.scan_runs", interrupt)
    answer = cli("list")
    assert (answer.code, answer.out, answer.err) == (130, "", "interrupted\n")


def test_a_closed_stdout_is_not_an_error(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "cpc_engine", "settings", "--json"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_the_commands_of_the_readme_are_understood() -> None:
    """Every `cpc …` line of README and CONTRIBUTING parses, and every preset and setting in them exists."""
    lines = [
        line.partition("#")[0].strip()
        for name in ("README.md", "CONTRIBUTING.md")
        for block in re.findall(r"```sh\n(.*?)```", (REPOSITORY / name).read_text(encoding="utf-8"), re.DOTALL)
        for line in block.splitlines()
    ]
    commands = [line.removeprefix("cpc ") for line in lines if line.startswith("cpc ")]
    commands += [
        line.removeprefix("python -m cpc_engine ") for line in lines if line.startswith("python -m cpc_engine ")
    ]
    assert len(commands) > 12
    for command in commands:
        options = parse(shlex.split(command))
        if options.command == "train":
            assert _configured(options).optimizer.steps > 0
