"""The verbs at the door, as a notebook uses them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import cpc_engine as cpc
from cpc_engine.api.progress import ProgressBar
from cpc_engine.cli import main
from cpc_engine.errors import ConfigError, DataError, RunError
from cpc_engine.evaluation.embed import Features
from cpc_engine.execution.execute import Phase
from cpc_engine.media import Sound
from cpc_engine.storage.folder import RunFolder
from tests.support.placed import trained
from tests.support.tiny import CHANGES

SMALL = {path: value for path, value in CHANGES.items() if path != "data.dataset"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(root: Path) -> cpc.Run:
    return cpc.train("tones", steps=4, name="small", settings=SMALL, root=root, progress=False)


def test_training_gives_a_run(run: cpc.Run, root: Path) -> None:
    assert (run.status, run.name, run.config.optimizer.steps) == ("finished", "small", 4)
    assert isinstance(run.metrics, pd.DataFrame)
    assert run.metrics["step"].tolist() == [1, 2, 3, 4]
    assert "modalities.audio.sources.in_batch.share" in run.metrics
    assert repr(run).startswith(f"<Run {run.id} 'small': finished, 4 of 4 steps, loss ")
    assert cpc.open(run.id, root).path == run.path
    assert [other.id for other in cpc.runs(root)] == [run.id]


def test_maps_and_embeddings_are_tables(run: cpc.Run) -> None:
    table = run.map("tsne")
    assert list(table.columns) == ["x", "y", "class", "name", "modality"]
    assert len(table) == 32
    assert 0 <= table.attrs["trustworthiness"] <= 1
    vectors, rows = run.embed("test")
    assert vectors.shape == (32, 16)
    assert vectors.dtype == np.float32
    assert list(rows.columns) == ["name", "class", "label", "group", "modality"]
    assert set(table["name"]) == set(rows["name"])
    longer, _ = run.embed("train", "pooled_latent")
    assert longer.shape[1] > 16
    with pytest.raises(ConfigError, match="did you mean 'tsne'"):
        run.map("tsen")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown split"):
        run.embed("tests")
    with pytest.raises(ConfigError, match="mean_context"):
        run.embed("test", "mean_contexts")


def test_every_feature_of_pairs_is_a_table_or_asks_for_the_modality(tmp_path: Path) -> None:
    residual = {"image__encoder": "residual", "audio__encoder": "residual"}
    pairs = cpc.open(trained(tmp_path, data__dataset="tones_bars", **residual).path)
    asked = []
    for feature in (field.name for field in fields(Features)):
        alone = [pairs.embed(feature=feature, modality=kind) for kind in ("audio", "image")]
        assert [set(rows["modality"]) for _, rows in alone] == [{"audio"}, {"image"}]
        sizes = [vectors.shape[1] for vectors, _ in alone]
        if sizes[0] == sizes[1]:
            np.testing.assert_array_equal(pairs.embed(feature=feature)[0], np.concatenate([part for part, _ in alone]))
            continue
        asked.append(feature)
        with pytest.raises(
            ConfigError, match=f"{feature} .*{sizes[0]} of audio and {sizes[1]} of image: give modality"
        ):
            pairs.embed(feature=feature)
    assert {"pooled_latent", "pooled_context"} <= set(asked)


def test_a_modality_that_a_run_does_not_read_is_refused(run: cpc.Run) -> None:
    with pytest.raises(ConfigError, match=r"reads audio: give modality, one of them, not 'image'"):
        run.embed(modality="image")


def test_evaluation_is_a_table_of_probes(run: cpc.Run) -> None:
    found = run.evaluate()
    assert {"trained", "untrained", "raw"} <= set(found.probes.columns)
    assert found.metrics["uniformity"] < 0
    assert run.evaluation is not None
    assert repr(run.evaluation).startswith(f"Evaluation of {run.id}: Alignment ")
    assert f"Effective rank {found.metrics['effective_rank']:.3g}, Spread " in repr(found)


def test_an_evaluation_names_the_folder_that_it_is_read_from(run: cpc.Run, tmp_path: Path) -> None:
    run.evaluate()
    copied = cpc.open(shutil.copytree(run.path, tmp_path / "renamed"))
    assert repr(copied.evaluation).startswith("Evaluation of renamed: ")


def test_placing_on_a_run(run: cpc.Run, root: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000).astype(np.float32)
    [by_run] = run.place([Sound(tone, 8000)])
    [by_id] = cpc.place(run.id, [Sound(tone, 8000)], root)
    assert by_run.placement is not None
    assert by_id.placement is not None
    assert by_run.placement.positions == by_id.placement.positions


def test_a_single_item_needs_no_list(run: cpc.Run, root: Path, tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000).astype(np.float32)
    soundfile.write(path, tone, 8000)
    for item in (path, str(path), Sound(tone, 8000)):
        [placed] = run.place(item)
        assert placed.placement is not None
    [placed] = cpc.place(run.folder, path, root)
    assert placed.name == str(path)


def test_comparing_gives_verdicts_and_settings(run: cpc.Run, root: Path) -> None:
    others = [
        cpc.train("tones", steps=4, seed=seed, settings={**SMALL, **extra}, root=root, progress=False)
        for seed in (0, 1)
        for extra in ({}, {"sampler.perturbed": True})
    ]
    table = cpc.compare(others, root)
    assert table.attrs["arms"] == {"A": [others[0].id, others[2].id], "B": [others[1].id, others[3].id]}
    assert list(table.attrs["settings"].index) == ["sampler.perturbed"]
    assert list(table.columns) == ["A", "A ±", "B", "B ±", "A or B?"]
    assert table.select_dtypes("float64").columns.tolist() == ["A", "A ±", "B", "B ±"]
    losses = [others[index].info.loss_last for index in (0, 2)]
    assert table.loc["Loss", "A"] == pytest.approx(np.mean([loss for loss in losses if loss is not None]))
    assert table.loc["Loss", "A ±"] > 0
    assert set(table.attrs["units"]) == set(table.attrs["better"]) == set(table.attrs["meaning"]) == set(table.index)
    assert (table.attrs["units"]["Loss"], table.attrs["better"]["Effective rank"]) == ("nats", "higher")
    assert "Alignment, k = 1" not in table.index
    assert "Alignment, k = 1" in cpc.compare(others, root, every=True).index
    assert cpc.compare([], root).empty


def test_a_run_is_compared_once_however_it_is_given(run: cpc.Run, root: Path) -> None:
    for given in (run.id, run, run.folder, [run.folder], [run.id, run, run.path, run.folder]):
        table = cpc.compare(given, root)
        assert table.attrs["arms"] == {"A": [run.id]}
        assert list(table.columns) == ["A", "A ±"]
    assert np.isnan(table.loc["Loss", "A ±"])  # one seed has no interval


def test_a_folder_of_runs_may_be_a_string(run: cpc.Run, root: Path) -> None:
    assert cpc.open(run.id, str(root)) == run
    assert run in cpc.runs(str(root))
    assert cpc.compare(run.id, str(root)).attrs["arms"] == {"A": [run.id]}
    made = cpc.train("tones", steps=1, settings=SMALL, root=str(root / "more"), progress=False)
    assert cpc.runs(str(root / "more")) == [made]


def test_runs_are_equal_by_their_folder(run: cpc.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.path.parent)
    same = cpc.Run(RunFolder(Path(run.id)))
    assert same == run
    assert len({same, run}) == 1
    assert run != cpc.Run(RunFolder(Path("another")))
    assert run != run.id


def test_objects_of_a_run_print_as_one_short_line(run: cpc.Run) -> None:
    stored, snapshots = run.stored_map(), run.snapshots()
    assert repr(stored) == "<RunMap of 32 items: pca, tsne>"
    assert re.fullmatch(r"<Map pca of 32 items: trustworthiness [01]\.\d{3}>", repr(stored.maps["pca"]))
    assert snapshots is not None
    steps = ", ".join(map(str, snapshots.steps))
    assert repr(snapshots) == f"<MapSnapshots of {len(snapshots.names)} items at steps {steps}>"
    assert repr(run.placer) == f"<Placer of {run.id}: pca, tsne>"


def test_the_door_lists_what_it_loads_late() -> None:
    code = "import sys, cpc_engine as c; assert set(c.__all__) <= set(dir(c)); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_bad_input_leaves_no_run_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        cpc.train("audio_folder", data=str(tmp_path / "nowhere"), root=tmp_path / "runs", progress=False)
    assert cpc.runs(tmp_path / "runs") == []
    with pytest.raises(ConfigError, match="did you mean"):
        cpc.train("tonse", root=tmp_path, progress=False)
    with pytest.raises(RunError, match="no run"):
        cpc.open("nothing", tmp_path)


def test_old_names_of_presets_and_settings_are_understood() -> None:
    assert cpc.preset("seed_tones") is cpc.PRESETS["reference_tones"]
    assert cpc.RunConfig().replace({"optimiser.steps": 7, "audio.centre": True}).optimizer.steps == 7


def test_the_runs_folder_follows_the_environment(
    run: cpc.Run, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CPC_RUNS says where runs are, for the command line as for the app."""
    monkeypatch.setenv("CPC_RUNS", str(root))
    assert run.id in {other.id for other in cpc.runs()}
    assert main(["list"]) == 0
    assert run.id in capsys.readouterr().out


def test_the_bar_says_what_goes_on_now(capsys: pytest.CaptureFixture[str]) -> None:
    """A phase before the first step is not shown through the whole training."""
    with ProgressBar(2) as bar:
        bar(Phase("decoding files", 0.5))
        bar({"step": 1, "loss": 2.0})
        bar({"step": 2, "loss": None})
        assert bar.bar.desc.startswith("training")


def test_training_prints_nothing_of_its_libraries(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cpc.train("tones", steps=1, settings={**SMALL, "run.precision": "bf16-mixed"}, root=tmp_path, progress=False)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_settings_of_torch_are_put_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    cpc.train("tones", steps=1, settings={**SMALL, "run.threads": before + 1}, root=tmp_path, progress=False)
    assert torch.get_num_threads() == before


def test_training_works_outside_of_the_main_thread(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(cpc.train, "tones", steps=1, settings=SMALL, root=tmp_path, progress=False).result()
    assert run.status == "finished"
