"""Where unlike items land on a finished run, and what is said of them."""

from __future__ import annotations

import io
import json
import shutil
import threading
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

import cpc_engine
from cpc_engine.data import load_dataset
from cpc_engine.data.dataset import Split
from cpc_engine.errors import DataError, RunError
from cpc_engine.evaluation.embed import embed
from cpc_engine.evaluation.ood import Verdict
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import State, execute
from cpc_engine.media import Picture, Sound
from cpc_engine.placing import Placed, Placement, Placer
from cpc_engine.placing.perturbations import PERTURBED_COPIES, perturbed_clips, perturbed_pictures
from cpc_engine.storage.artifacts import load_ood_reference
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

TYPICAL = get_args(Verdict)


def trained(root: Path, **changes: object) -> RunFolder:
    folder = RunFolder.create(root, tiny(**changes))
    assert execute(folder, Control()) == State("finished")
    return folder


def evaluated(root: Path, **changes: object) -> RunFolder:
    folder = trained(root, **changes)
    evaluate_run(folder)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def tones(root: Path) -> Placer:
    return Placer(evaluated(root, data__train_items=256, data__test_items=48))


@pytest.fixture(scope="module")
def bars(root: Path) -> Placer:
    return Placer(evaluated(root, data__dataset="bars"))


@pytest.fixture(scope="module")
def pairs(root: Path) -> Placer:
    return Placer(evaluated(root, data__dataset="tones_bars"))


def held_out(placer: Placer) -> Split:
    return load_dataset(placer.config).test


def files(split: Split, folder: Path, rate: int) -> list[Path]:
    """The items of one modality as people would have them: WAV or PNG files."""
    folder.mkdir()
    paths = []
    for i in range(len(split)):
        if split.audio is not None:
            paths.append(folder / f"{i}.wav")
            soundfile.write(paths[-1], split.audio[i].numpy(), rate, subtype="PCM_16")
        else:
            assert split.image is not None
            paths.append(folder / f"{i}.png")
            Image.fromarray(split.image[i].permute(1, 2, 0).numpy()).save(paths[-1])
    return paths


def tone(seconds: float, pitch: float = 440.0, rate: int = 8000, level: float = 0.5) -> Sound:
    time = np.arange(round(seconds * rate)) / rate
    return Sound((level * np.sin(2 * np.pi * pitch * time)).astype(np.float32), rate)


def noise_picture(height: int = 40, width: int = 40) -> Picture:
    return Picture(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def wav(sound: Sound) -> bytes:
    buffer = io.BytesIO()
    levels = (sound.samples * 32768).round().clip(-32768, 32767).astype(np.int16)
    soundfile.write(buffer, levels, sound.rate, format="WAV")
    return buffer.getvalue()


def assert_alike(one: Placement, other: Placement) -> None:
    np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-4)
    for method, position in one.positions.items():
        np.testing.assert_allclose(position, other.positions[method], atol=1e-3)
    assert (one.predicted, one.verdict) == (other.predicted, other.verdict)


# --- the same path as training ---------------------------------------------------------------------------------------


def assert_no_skew(placer: Placer, split: Split, paths: list[Path]) -> None:
    """Item by item, files go the way that the data set's own items went, and the probe says the same of them."""
    (modality,) = placer.modalities
    own = embed(placer.model, split)[modality]
    name, probe = placer.probes[modality]
    expected = probe.predict(getattr(own, name).numpy())
    for row, placed in enumerate(placer.place_all(paths)):
        assert placed.placement is not None, placed.error
        np.testing.assert_allclose(placed.placement.embedding, own.mean_context[row].numpy(), atol=1e-4)
        assert placed.placement.predicted == placer.classes[expected[row]]
    accuracy = float((expected == split.labels.numpy()).mean())
    if len(split) == len(load_dataset(placer.config).test):
        chosen = placer.folder.json("evaluation")["chosen_feature"][modality]
        assert accuracy == pytest.approx(placer.folder.json("evaluation")["probe"][chosen]["trained"], abs=1e-9)


@pytest.mark.parametrize("kind", ["tones", "bars"])
def test_files_land_where_the_data_sets_own_items_do(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    placer = Placer(request.getfixturevalue(kind).folder, ("pca",))
    split = held_out(placer)
    assert_no_skew(placer, split, files(split, tmp_path / kind, placer.sample_rate))


def test_spoken_digits_land_where_their_data_set_put_them(shared: Path, tmp_path: Path) -> None:
    recordings = shared / "data" / "fsdd" / "recordings"
    small = {"data__classes": ["3", "7"], "data__train_items": 100, "data__test_items": 40}
    placer = Placer(evaluated(tmp_path, data__dataset="fsdd", data__path=str(recordings), **small), ("pca",))
    split = held_out(placer)
    assert len(split) == 40
    assert_no_skew(placer, split, [recordings / source for source in split.names])


def test_real_pictures_land_where_their_data_set_put_them(shared: Path, tmp_path: Path) -> None:
    archive = shared / "data" / "cifar10_two_class.npz"
    small = {"data__train_items": 100, "data__test_items": 40}
    placer = Placer(evaluated(tmp_path, data__dataset="cifar10", data__path=str(archive), **small), ("pca",))
    split = held_out(placer)
    assert_no_skew(placer, split, files(split, tmp_path / "pictures", 0))


def test_a_held_out_item_is_its_own_nearest_neighbor(tones: Placer) -> None:
    split = held_out(tones)
    assert split.audio is not None
    row = int(tones.map.rows[3])
    found = tones.place(Sound(split.audio[row].numpy() / np.float32(32768), tones.sample_rate))
    assert found.neighbors[0].row == 3
    assert found.neighbors[0].source == split.names[row]
    assert found.neighbors[0].cosine == pytest.approx(1, abs=1e-5)
    assert found.neighbors[0].label == tones.classes[int(split.labels[row])]
    layout = tones.map.maps["pca"].layout[3]
    np.testing.assert_allclose(found.positions["pca"], layout, atol=1e-4)


def test_a_recording_at_48_khz_lands_where_the_same_sound_at_the_runs_rate_does(tones: Placer) -> None:
    low, high = (tones.place(tone(0.5, 500, rate)) for rate in (8000, 48_000))
    assert float(low.embedding @ high.embedding) / np.linalg.norm(low.embedding) / np.linalg.norm(
        high.embedding
    ) == pytest.approx(1, abs=1e-3)


# --- neighbors, maps, probabilities ---------------------------------------------------------------------------------


def test_neighbors_and_overlap_against_a_slow_count(pairs: Placer) -> None:
    found = pairs.place(tone(0.5))
    features = pairs.map.features.astype(float)
    cosines = features @ found.embedding / np.linalg.norm(features, axis=1) / np.linalg.norm(found.embedding)
    order = np.argsort(-cosines, kind="stable")
    for modality, near in (("audio", found.neighbors), ("image", found.cross_modal)):
        rows = [row for row in order.tolist() if pairs.map.modalities[row] == modality][:5]
        assert [n.row for n in near] == rows
        assert [n.modality for n in near] == [modality] * 5
        np.testing.assert_allclose([n.cosine for n in near], cosines[rows], atol=1e-5)
    for method, share in found.overlap.items():
        away = np.linalg.norm(pairs.map.maps[method].layout - np.array(found.positions[method]), axis=1)
        assert share == pytest.approx(len(set(order[:15]) & set(np.argsort(away)[:15])) / 15, abs=1e-9)


def test_a_picture_finds_sounds(pairs: Placer, tones: Placer) -> None:
    assert {near.modality for near in pairs.place(noise_picture()).cross_modal} == {"audio"}
    assert tones.place(tone(0.5)).cross_modal == []


def test_probabilities_are_the_probes(tones: Placer) -> None:
    found = tones.place(tone(0.5))
    assert found.probabilities is not None
    assert list(found.probabilities) == tones.classes
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.predicted == max(found.probabilities, key=lambda label: found.probabilities[label])


def test_before_evaluation_there_are_neighbors_only(tmp_path: Path) -> None:
    folder = trained(tmp_path)
    placer = Placer(folder, ("pca",))
    assert not placer.evaluated
    found = placer.place(tone(2.0))
    assert (found.probabilities, found.predicted, found.stability.agreement) == (None, None, None)
    assert len(found.neighbors) == 5
    assert found.windows[0].predicted is None


@pytest.mark.slow
def test_every_map_places_an_item_alone_as_in_a_batch(root: Path) -> None:
    """umap-learn's own transform does not: the windows of a long clip are a batch, each of them alone is none."""
    placer = Placer(evaluated(root), ("pca", "tsne", "umap"))
    sweep = np.sin(2 * np.pi * np.cumsum(np.linspace(200, 1500, 14_000)) / 8000).astype(np.float32)
    long = placer.place(Sound(sweep, 8000))
    assert len(long.windows) == 6
    for window in long.windows:
        first = round(window.start * 8000)
        alone = placer.place(Sound(sweep[first : first + 4000], 8000))
        for method in ("pca", "tsne", "umap"):
            np.testing.assert_allclose(alone.positions[method], window.positions[method], atol=2e-3)
        assert (alone.predicted, alone.typicality) == (window.predicted, pytest.approx(window.typicality))


# --- windows ---------------------------------------------------------------------------------------------------------


def test_a_long_clip_is_a_path_and_lies_where_it_is_loudest(tones: Placer) -> None:
    samples = np.concatenate([tone(1.0, 300, level=0.1).samples, tone(1.0, 900, level=0.6).samples])
    found = tones.place(Sound(samples, 8000))
    assert [window.start for window in found.windows] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    assert tones.clip_seconds == 0.5
    alone = tones.place(tone(0.5, 900, level=0.6))
    np.testing.assert_allclose(found.windows[4].positions["pca"], alone.positions["pca"], atol=1e-3)
    assert any("2.0 s long: placed by its loudest 0.5 s; 7 windows of 0.5 s" in note for note in found.notes)


def test_the_last_window_ends_with_the_clip(tones: Placer) -> None:
    starts = [window.start for window in tones.place(tone(0.8)).windows]
    assert starts == pytest.approx([0.0, 0.25, 0.3])
    assert tones.place(tone(0.5)).windows == []
    assert len(tones.place(tone(0.5001, rate=48_000)).windows) in (0, 2)


# --- typicality and stability ----------------------------------------------------------------------------------------


def test_what_the_run_knows_is_typical_and_noise_is_not(tones: Placer) -> None:
    split = held_out(tones)
    assert split.audio is not None
    own = [tones.place(Sound(clip.numpy() / np.float32(32768), 8000)) for clip in split.audio]
    assert {found.verdict for found in own} <= set(TYPICAL)
    assert np.mean([found.verdict == "typical" for found in own]) > 0.8
    noise = np.random.default_rng(0).normal(0, 0.2, 4000).clip(-1, 1).astype(np.float32)
    for samples in (noise, np.zeros(4000, np.float32)):
        found = tones.place(Sound(samples, 8000))
        known = found.validation_items
        assert known == 40
        assert found.typicality == pytest.approx(100 / (known + 1)), "beyond all of them"
        assert found.verdict == "borderline", "40 validation items cannot say more"
        assert found.typicality_words == (
            "Typicality 2.44 of 100. None of 40 validation items is as unusual as this. "
            "To call it unlike would take at least 99 of them."
        )


@pytest.mark.parametrize(("items", "verdict"), [(9, TYPICAL[3]), (19, TYPICAL[1]), (99, TYPICAL[2])])
def test_noise_is_called_only_what_the_validation_items_can_tell(
    tones: Placer, tmp_path: Path, items: int, verdict: str
) -> None:
    """A run's stored reference, cut or repeated to so many validation items."""
    copy = RunFolder(Path(shutil.copytree(tones.folder.path, tmp_path / "copy")))
    tensors = dict(copy.tensors("typicality"))
    tensors["audio.known"] = tensors["audio.known"].repeat(3)[:items].sort().values
    copy.save_tensors("typicality", tensors)
    noise = np.random.default_rng(0).normal(0, 0.2, 4000).clip(-1, 1).astype(np.float32)
    found = Placer(copy).place(Sound(noise, 8000))
    assert (found.validation_items, found.verdict) == (items, verdict)
    assert found.typicality == pytest.approx(100 / (items + 1))
    assert ("would take" in found.typicality_words) == (items < 99)
    assert Placed("noise", found).to_dict()["validation_items"] == items


def test_evaluation_keeps_what_typical_items_are_like(bars: Placer, tmp_path: Path) -> None:
    assert set(load_ood_reference(bars.folder, bars.model)) == {"image"}
    copy = RunFolder(Path(shutil.copytree(bars.folder.path, tmp_path / "copy")))
    copy.save_tensors("typicality", {"image.known": torch.zeros(2)})
    placed = Placer(copy).place(noise_picture())
    assert placed.verdict is None
    assert any("typicality.safetensors is damaged (inputs.mean is missing)" in note for note in placed.notes)
    (copy.path / "typicality.safetensors").unlink()
    found = Placer(copy).place(noise_picture())
    assert (found.typicality, found.validation_items, found.verdict) == (None, None, None)
    assert found.typicality_words == ""
    copy.forget_after(0)
    assert not copy.has_tensors("typicality")


def test_stability_is_that_of_the_noisy_copies(tones: Placer) -> None:
    found = tones.place(tone(0.5))
    clip = (tone(0.5).samples * 32768).round().clip(-32768, 32767).astype(np.int16)
    copies = Split(
        perturbed_clips(torch.from_numpy(clip)),
        None,
        torch.zeros(PERTURBED_COPIES),
        ("",) * PERTURBED_COPIES,
        ("",) * PERTURBED_COPIES,
    )
    contexts = embed(tones.model, copies)["audio"].mean_context
    cosines = torch.nn.functional.cosine_similarity(contexts, torch.from_numpy(found.embedding)[None])
    assert found.stability.copies == PERTURBED_COPIES == 8
    assert found.stability.cosine == pytest.approx(float(cosines.mean()), abs=1e-4)
    assert found.stability.agreement is not None
    assert 0 <= found.stability.agreement <= 1


def test_noisy_copies_are_near_the_item_and_always_the_same() -> None:
    clip = torch.zeros(4000, dtype=torch.int16)
    clip[1000:3000] = torch.from_numpy((tone(0.25).samples * 20_000).astype(np.int16))
    picture = torch.randint(0, 255, (3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    for item, make in ((clip, perturbed_clips), (picture, perturbed_pictures)):
        copies = make(item)
        assert copies.shape == (8, *item.shape)
        assert copies.dtype == item.dtype
        assert torch.equal(copies, make(item))
        assert len({copy.numpy().tobytes() for copy in copies}) == 8
        assert all(not torch.equal(copy, item) for copy in copies)
    assert not perturbed_clips(clip)[:, :900].any()  # silence that fills a clip up stays silence
    assert not perturbed_clips(torch.zeros(100, dtype=torch.int16)).any()
    assert (perturbed_pictures(torch.full((3, 8, 8), 100, dtype=torch.uint8)).float() - 100).abs().max() < 20


# --- words -----------------------------------------------------------------------------------------------------------


def test_odd_sounds_are_told_in_words(tones: Placer) -> None:
    def notes(samples: np.ndarray, rate: int = 8000) -> str:
        return "; ".join(tones.place(Sound(samples.astype(np.float32), rate)).notes)

    assert notes(tone(0.5).samples) == ""
    assert "silence: every sample is zero" in notes(np.zeros(4000))
    assert "nearly silent: its loudest moment is 80 dB below full scale" in notes(tone(0.5, level=1e-4).samples)
    assert "clipped" in notes((2 * tone(0.5, level=1.0).samples).clip(-1, 1))
    assert "clipped" not in notes(tone(0.5, 440, level=1.0).samples)
    assert "very short: 0.10 s in a window of 0.5 s" in notes(tone(0.1).samples)


def test_odd_pictures_are_told_in_words(bars: Placer) -> None:
    assert bars.place(noise_picture()).notes == ()
    assert "single flat color" in " ".join(bars.place(Picture(np.full((40, 40, 3), 9, np.uint8))).notes)
    assert "very small: 8×9 pixels" in " ".join(bars.place(noise_picture(9, 8)).notes)
    assert "only its center square" in " ".join(bars.place(noise_picture(40, 80)).notes)
    decoded = Picture(noise_picture().pixels, ("only the first of its frames was used",))
    assert bars.place(decoded).notes == decoded.notes


@pytest.mark.parametrize(("kind", "other"), [("tones", "pictures"), ("bars", "sounds")])
def test_the_wrong_kind_of_item_is_told(kind: str, other: str, request: pytest.FixtureRequest) -> None:
    item = tone(0.5) if other == "sounds" else noise_picture()
    with pytest.raises(DataError, match=rf"^this run learned from \w+, it cannot place {other}$"):
        request.getfixturevalue(kind).place(item)


# --- many items, many threads ----------------------------------------------------------------------------------------


def test_one_bad_item_does_not_spoil_the_others(tones: Placer, tmp_path: Path) -> None:
    (tmp_path / "good.wav").write_bytes(wav(tone(0.5)))
    items = [tmp_path / "good.wav", str(tmp_path / "none.wav"), ("bytes.wav", wav(tone(0.5))), ("bad", b"RIFF0000WAVE")]
    found = cpc_engine.place(tones.folder.path, [*items, tone(0.5), noise_picture()])
    names = [str(items[0]), items[1], "bytes.wav", "bad", "sound 5", "picture 6"]
    assert [placed.name for placed in found] == names
    assert [placed.error is None for placed in found] == [True, False, True, False, True, False]
    assert [placed.placement is None for placed in found] == [False, True, False, True, False, True]
    assert found[1].error == "none.wav: no such file"
    assert found[5].error == "this run learned from sounds, it cannot place pictures"
    first = found[0].placement
    assert first is not None
    for placed in (found[2], found[4]):
        assert placed.placement is not None
        assert_alike(first, placed.placement)


def test_what_the_command_line_prints_is_plain_json(pairs: Placer) -> None:
    (placed,) = pairs.place_all([tone(1.2)])
    document = placed.to_dict()
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again["verdict"] in TYPICAL
    assert set(again) >= {"file", "status", "x", "y", "neighbors", "cross_modal", "probabilities", "typicality"}
    assert [again["x"], again["y"]] == again["positions"]["pca"]
    assert again["windows"][1]["start"] == 0.25
    assert set(again["neighbors"][0]) == {"source", "label", "modality", "cosine", "row"}
    assert set(again["stability"]) == {"cosine", "agreement", "copies"}


def test_many_threads_place_at_once(pairs: Placer) -> None:
    items: list[Sound | Picture] = [tone(0.5, 200 + 90 * i) for i in range(6)]
    items += [Picture(np.roll(noise_picture().pixels, i, 0)) for i in range(6)]
    expected = [pairs.place(item) for item in items]
    found: dict[int, Placement] = {}

    def work(i: int) -> None:
        found[i] = pairs.place(items[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(items))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, one in enumerate(expected):
        assert_alike(one, found[i])


def test_a_run_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run 'nothing'"):
        cpc_engine.place("nothing", [])
    with pytest.raises(RunError, match="never began"):
        cpc_engine.place(RunFolder.create(tmp_path, tiny()), [])
