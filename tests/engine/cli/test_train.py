"""Commands that list presets and settings, train, and list runs."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from cpc_engine.cli import main
from cpc_engine.config import RunConfig
from cpc_engine.errors import ConfigError
from cpc_engine.experiments.definitions import EXPERIMENTS
from cpc_engine.presets import PRESETS
from cpc_engine.settings import describe
from cpc_engine.storage.folder import RunFolder
from tests.support.command_line import SUMMARY, Cli, sets
from tests.support.tiny import tiny


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


def test_what_settings_says_of_values_is_what_they_may_be(cli: Cli) -> None:
    """The ends of each range are accepted, and what lies beyond them is refused."""
    lines = {line.split()[0]: line for line in cli("settings").out.splitlines()}
    for row in cli("settings", "--json").document:
        for end, word, beyond in ((row["minimum"], "from", -1), (row["maximum"], "up to", 1)):
            if end is None:
                continue
            said = lines[row["path"]].rpartition(f" {word} ")[2].split()[0]
            assert float(said.replace(",", "")) == end
            refused = end + beyond * (1 if row["kind"] == "int" else abs(end) / 1000 + 1e-9)
            with pytest.raises(ConfigError, match=row["path"].partition(".")[2]):
                RunConfig().replace({row["path"]: refused})
        if row["choices"]:
            assert all(choice in lines[row["path"]] for choice in row["choices"])


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
