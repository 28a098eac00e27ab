"""Data, disks, and runs that are not as they should be: one line for each error."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

from cpc_engine.presets import preset
from cpc_engine.storage.artifacts import MOVED
from cpc_engine.storage.folder import RunFolder
from tests.support.command_line import Answer, Cli, sets, sound, sounds
from tests.support.data_files import write_image


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


def test_data_that_have_moved_are_found_by_all_runs_once_it_was_told(cli: Cli, tmp_path: Path) -> None:
    sounds(tmp_path / "mine", {"cat": 20, "dog": 20})
    first, second = (folder_run(cli, "--data", "mine", "--seed", seed).document["path"] for seed in (0, 1))
    (tmp_path / "mine").rename(tmp_path / "moved")
    assert "no such folder" in cli("evaluate", tmp_path / first, "--json").error
    assert "say where the data are now" in cli("locate", tmp_path / first, "--json").error
    sounds(tmp_path / "other", {"cow": 20, "dog": 20})
    assert "these data have" in cli("locate", tmp_path / first, "--data", "other", "--json").error
    assert "no such folder" in cli("evaluate", tmp_path / first, "--json").error, "what was refused is not kept"
    assert cli("locate", tmp_path / first, "--data", "moved", "--json").code == 0
    for run in (first, second):
        assert cli("evaluate", tmp_path / run, "--json").code == 0
    (tmp_path / "moved").rename(tmp_path / "again")
    assert "no such folder" in cli("evaluate", tmp_path / first, "--json").error
    assert cli("locate", tmp_path / second, "--data", " 'again' ", "--json").code == 0, "as people paste it"
    shutil.copytree(tmp_path / "other", tmp_path / "mine")
    assert cli("evaluate", tmp_path / first, "--json").code == 0, "others lie where they were"
    third = folder_run(cli, "--data", "mine").document["path"]
    assert cli("evaluate", tmp_path / third, "--json").code == 0, "what was told is of the others"
    assert "these data have" in cli("locate", tmp_path / first, "--data", "mine", "--json").error
    shutil.rmtree(tmp_path / "mine")
    (tmp_path / "again").rename(tmp_path / "mine")
    assert cli("evaluate", tmp_path / first, "--json").code == 0, "they are where they were"
    shutil.copytree(tmp_path / "mine", tmp_path / "again")
    assert cli("locate", tmp_path / first, "--data", "mine", "--json").code == 0, "and may be told so"
    (tmp_path / "mine").rename(tmp_path / "lost")
    (tmp_path / "again").rename(tmp_path / "mine")
    told = (tmp_path / second).parent / MOVED
    told.write_text("[1]")
    (tmp_path / "mine").rename(tmp_path / "elsewhere")
    answer = cli("evaluate", tmp_path / first, "--json")
    assert "is damaged: delete it" in answer.error
    told.unlink()
    assert cli("locate", tmp_path / first, "--data", "elsewhere", "--json").code == 0


def test_sounds_and_pictures_of_pairs_may_move_one_after_the_other(cli: Cli, tmp_path: Path) -> None:
    sounds(tmp_path / "heard", {"cat": 20, "dog": 20})
    for number in range(40):
        write_image(tmp_path / "seen" / ("cat", "dog")[number % 2] / f"{number}.png", 5 * number)
    both = ["--data", "heard", "--set", f"data.image_path={tmp_path / 'seen'}"]
    small = sets(data__train_items=0, data__test_items=0)
    path = tmp_path / cli("train", "--preset", "paired_folders", *small, *both, "--json").document["path"]
    for old, new, option in (("heard", "sounds", "--data"), ("seen", "pictures", "--images")):
        (tmp_path / old).rename(tmp_path / new)
        assert f"no such folder: {tmp_path / old}" in cli("evaluate", path, "--json").error
        assert cli("locate", path, option, new, "--json").code == 0
    assert cli("evaluate", path, "--json").code == 0


def test_a_run_goes_on_where_its_data_are_now(cli: Cli, tmp_path: Path) -> None:
    sounds(tmp_path / "mine", {"cat": 20, "dog": 20})
    path = tmp_path / folder_run(cli, "--data", "mine", "--set", "run.checkpoint_every=1").document["path"]
    RunFolder(path).update(status="interrupted")
    waiting = RunFolder.create(
        path.parent, preset("audio_folder").config().replace({"data.path": str(tmp_path / "mine")})
    )
    waiting.save_json("config", waiting.config().replace({"optimizer.steps": 2, "audio.width": 8}).to_dict())
    waiting.update(status="interrupted")
    (tmp_path / "mine").rename(tmp_path / "moved")
    assert "no such folder" in cli("resume", path, "--json").error
    assert cli("locate", path, "--data", "moved").out.endswith("its data are found\n")
    answer = cli("resume", path, "--json")
    assert answer.code == 0
    assert answer.document["status"] == "finished"
    assert RunFolder(path).config().data.path == str(tmp_path / "mine"), "what it learned from is not rewritten"
    answer = cli("resume", waiting.path, "--json")
    assert answer.code == 0, "one that never began, whose length of clips follows from the data"
    assert RunFolder(waiting.path).config().data.path == str(tmp_path / "mine")


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
