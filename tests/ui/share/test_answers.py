"""What the demo says, by itself and over HTTP."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from gradio_client import Client

from cpc_engine.evaluation.ood import Verdict
from cpc_engine.media import Sound
from cpc_engine.placing import Placed, Placer
from cpc_engine.storage.folder import RunFolder
from tests.support.demo import demo
from tests.support.shared_run import answer, assert_alike, photo, recording, sent
from ui.share.parts import base_map, heading_html, likely, lit_map, near_html, verdict_html

pytest_plugins = ["tests.support.explored"]


def test_the_star_lies_where_the_engine_put_it(keys: Placer) -> None:
    placement = keys.place_bytes(recording("5", seconds=1.5), "five.wav")
    base = base_map(keys.map)
    lit = lit_map(base, keys.map, placement)
    traces = {trace["name"]: trace for trace in lit["data"]}
    assert (traces["lit"]["x"][0], traces["lit"]["y"][0]) == pytest.approx(placement.positions["tsne"])
    assert len(traces["nearest in the original space"]["x"]) == len(placement.neighbors)
    assert len(traces["path"]["x"]) == len(placement.windows) > 1
    assert len(base["data"]) == len(lit["data"]) - 3, "the map itself stays as it was"
    ids = [point for trace in base["data"] for point in base64.b64decode(trace["customdata"]["bdata"])[::4]]
    assert sorted(ids) == list(range(len(keys.map.labels)))
    assert {name for trace in base["data"] for name in trace["text"]} == set(keys.map.names), "shown on hover"


def test_verdicts_are_told_in_words(keys: Placer) -> None:
    silence = keys.place(Sound(np.zeros(24_000, np.float32), 48_000))
    unlike = replace(silence, typicality=0.5, validation_items=199, verdict=get_args(Verdict)[2])
    said = verdict_html(Placed("x", unlike))
    assert "cpc-odd" in said
    assert "Unlike anything trained on: position not meaningful." in said
    assert f"Class: <strong>{silence.predicted}" in verdict_html(Placed("x", silence))
    assert "Class: <strong>" not in said
    assert f"Out of distribution, so this says little. Likeliest class: {silence.predicted}" in said
    assert likely(silence)
    assert likely(unlike) == {}, "no bars beside that"
    few = replace(silence, typicality=10.0, validation_items=9, verdict=get_args(Verdict)[3])
    assert "cpc-unknown" in verdict_html(Placed("x", few))
    assert "To call it borderline would take at least 19 of them" in verdict_html(Placed("x", few))
    assert "This is silence" in said
    near = near_html(silence)
    assert "Nearest pictures" in near
    assert f"<td>{silence.neighbors[0].source}</td>" in near
    assert "sounds and pictures alone, without labels" in heading_html(keys), "it has no pair term"
    paired = copy(keys)
    paired.config = keys.config.replace({"loss.pair_weight": 1.0})
    assert "sounds and pictures alone, in pairs of one class, so the pairing was a label" in heading_html(paired)


def test_words_of_untrusted_visitors_are_escaped() -> None:
    said = verdict_html(Placed("x", None, "<script>alert(1)</script>: empty file"))
    assert "role='alert'" in said
    assert "<script>" not in said
    assert "&lt;script&gt;" in said


@pytest.mark.parametrize(("name", "content"), [("five.wav", recording("5", seconds=1.2)), ("dots.png", photo())])
def test_it_answers_as_the_engine_does(
    keys: Placer, keys_client: Client, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    reply = sent(keys_client, tmp_path / name)
    assert reply["status"] == "ok"
    (expected,) = keys.place_all([(name, content)])
    assert_alike(reply, json.loads(json.dumps(expected.to_dict())))


def test_twenty_at_once_each_get_their_own_answer(keys: Placer, keys_client: Client, tmp_path: Path) -> None:
    contents = {f"{key}.wav": recording(str(key)) for key in range(10)} | {f"{i}.png": photo(i) for i in range(9)}
    contents["broken.wav"] = b"RIFF\0\0\0\0WAVEjunk"
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert len(contents) == 20
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda name: sent(keys_client, tmp_path / name), contents))
    expected = [placed.to_dict() for placed in keys.place_all(list(contents.items()))]
    assert_alike(replies, json.loads(json.dumps(expected)))
    assert [reply["status"] for reply in replies] == ["ok"] * 19 + ["error"]


def test_what_cannot_be_placed_is_an_entry_of_one_line(tones: RunFolder, keys_demo: str, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(photo())
    (tmp_path / "broken.wav").write_bytes(recording("5")[:60])
    (tmp_path / "notes.txt").write_text("not a sound")
    with demo(tones.path, tmp_path / "log") as (url, _):
        client = Client(url, verbose=False, httpx_kwargs={"timeout": 60})
        picture, broken, text = (sent(client, tmp_path / name) for name in ("photo.png", "broken.wav", "notes.txt"))
        client.close()
    error = "this run learned from sounds, it cannot place pictures"
    assert picture == {"file": "photo.png", "status": "error", "error": error}
    for reply, name in ((broken, "broken.wav"), (text, "notes.txt")):
        assert (reply["file"], reply["status"]) == (name, "error")
        assert reply["error"].startswith(f"{name}: ")
        assert "\n" not in reply["error"]
    assert "no file was sent" in answer(keys_demo, None)
