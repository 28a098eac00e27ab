"""Decoding of untrusted files in a worker process: its failures must not affect the caller."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from cpc_engine import media
from cpc_engine.errors import MediaError
from cpc_engine.media import Picture, Sound, decode_sandboxed
from cpc_engine.media.sandbox import Sandbox
from cpc_engine.storage.process import started
from tests.engine.media.test_odd_files import ACCEPTED, REFUSED
from tests.support.paths import REPOSITORY
from tests.support.tiny import wait_until

ROOT = REPOSITORY
# A worker whose decoder misbehaves as the file name says.
MISBEHAVING = """
import os, sys, time
import cpc_engine.media.worker as worker

def decode(data, name):
    if name == "abort": os.abort()
    if name == "exit": sys.exit(0)
    if name == "hang": time.sleep(100)
    if name == "print": os.write(1, b"noise on stdout"); print("more")
    if name == "nan": return worker.Sound(worker_numpy.full(800, float("nan"), "float32"), 8000)
    if name == "file": open(data.decode(), "wb", 0).write(b"x" * 10)
    if name == "secret": raise worker.MediaError(os.environ.get("CPC_SECRET", "nothing to tell"))
    if name == "memory": worker_numpy.ones(2 ** 30, "uint8")
    return original(data, name)

import numpy as worker_numpy
original, worker.decode = worker.decode, decode
worker.main()
"""


def wav(seconds: float = 0.5, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(int(seconds * rate)) / 9), rate, format="WAV")
    return buffer.getvalue()


def png(size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[Sandbox]:
    sandbox = Sandbox((sys.executable, "-P", "-c", MISBEHAVING), seconds=60.0)
    yield sandbox
    sandbox.close()


def assert_same(item: Sound | Picture, expected: Sound | Picture) -> None:
    assert type(item) is type(expected)
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(item, name), value)


@pytest.mark.parametrize("data", [wav(), png()])
def test_the_result_is_that_of_decode(data: bytes) -> None:
    assert_same(decode_sandboxed(data, "x"), media.decode(data, "x"))


def test_the_result_is_writable() -> None:
    picture = decode_sandboxed(png(), "x")
    assert isinstance(picture, Picture)
    picture.pixels[:] = 0


@pytest.mark.parametrize("name", [*ACCEPTED, *REFUSED])
def test_the_result_for_odd_files_is_that_of_decode(name: str, shared: Path) -> None:
    data = (shared / "data" / "odd_inputs" / name).read_bytes()
    if name in REFUSED:
        with pytest.raises(MediaError) as caught:
            decode_sandboxed(data, name)
        assert str(caught.value).startswith(f"{name}: ")
        assert REFUSED[name] in str(caught.value)
    else:
        assert_same(decode_sandboxed(data, name), media.decode(data, name))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("abort", "its decoder crashed"), ("exit", "its decoder crashed"), ("nan", "its decoder crashed")],
)
def test_a_crash_gives_one_line_and_the_next_file_is_decoded(misbehaving: Sandbox, name: str, reason: str) -> None:
    with pytest.raises(MediaError, match=rf"^{name}: {reason}; the file is damaged or hostile$"):
        misbehaving.decode(wav(), name)
    assert_same(misbehaving.decode(wav(), "good"), media.decode(wav(), "good"))


def test_a_hang_is_ended_and_does_not_block_other_files(monkeypatch: pytest.MonkeyPatch, misbehaving: Sandbox) -> None:
    monkeypatch.setattr(misbehaving, "seconds", 2.0)
    misbehaving.decode(wav(), "good")
    first = misbehaving._take()
    misbehaving.decode(wav(), "good")
    misbehaving._idle.append(first)  # two have started now, and neither file waits for that
    messages: list[str] = []

    def hang() -> None:
        with pytest.raises(MediaError) as caught:
            misbehaving.decode(wav(), "hang")
        messages.append(str(caught.value))

    began = time.monotonic()
    thread = threading.Thread(target=hang)
    thread.start()
    misbehaving.decode(wav(), "good")
    assert not messages  # the other thread is still waiting
    thread.join(60)
    assert messages == ["hang: took longer than 2 s to decode; the file is damaged or hostile"]
    assert time.monotonic() - began < 20
    misbehaving.decode(wav(), "good")


def test_output_of_a_decoder_does_not_corrupt_the_reply(misbehaving: Sandbox) -> None:
    assert_same(misbehaving.decode(wav(), "print"), media.decode(wav(), "print"))


def test_environment_variables_are_not_passed_on(misbehaving: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    misbehaving.close()  # the next worker starts while the secret is in the environment
    monkeypatch.setenv("CPC_SECRET", "swordfish")
    with pytest.raises(MediaError, match="nothing to tell"):
        misbehaving.decode(wav(), "secret")


@pytest.mark.skipif(sys.platform != "linux", reason="the limits need Linux")
def test_memory_and_writing_are_limited(misbehaving: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="memory: its decoder crashed"):
        misbehaving.decode(wav(), "memory")
    target = tmp_path / "written"
    with pytest.raises(MediaError, match="file: its decoder crashed"):
        misbehaving.decode(str(target).encode(), "file")
    assert not target.exists() or not target.stat().st_size


def test_a_worker_that_died_between_files_is_replaced() -> None:
    sandbox = Sandbox()
    sandbox.decode(wav(), "one")
    (worker,) = sandbox._idle
    worker.process.kill()
    worker.process.wait()
    sandbox.decode(wav(), "two")
    assert sandbox._idle[0].process.pid != worker.process.pid
    sandbox.close()


def test_the_size_is_checked_before_a_worker_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = Sandbox(("no such program",))
    monkeypatch.setattr("cpc_engine.media.file_bytes.MAX_FILE_BYTES", 4)
    with pytest.raises(MediaError, match="larger than"):
        sandbox.decode(b"12345", "big")
    with pytest.raises(MediaError, match="empty file"):
        sandbox.decode(b"", "none")


def test_a_failed_start_is_not_blamed_on_the_file() -> None:
    with pytest.raises(MediaError, match=r"^x: no process to decode it in could be started \(No such file"):
        Sandbox(("no such program",)).decode(wav(), "x")
    with pytest.raises(MediaError, match=r"^x: the process to decode it in ended before it was ready$"):
        Sandbox((sys.executable, "-c", "pass")).decode(wav(), "x")


def test_many_threads_at_once() -> None:
    clips = [wav(0.1 + 0.01 * i) for i in range(24)]
    results: dict[int, Sound | Picture] = {}

    def work(i: int) -> None:
        results[i] = decode_sandboxed(clips[i], str(i))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(clips))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, clip in enumerate(clips):
        assert_same(results[i], media.decode(clip, str(i)))


@pytest.mark.timed
def test_a_running_worker_decodes_a_small_sound_within_30_ms() -> None:
    data, times = wav(1.0), []
    decode_sandboxed(data, "x")
    for _ in range(20):
        began = time.perf_counter()
        decode_sandboxed(data, "x")
        times.append(time.perf_counter() - began)
    assert np.median(times) < 0.03


def test_large_images_are_returned_completely() -> None:
    picture = decode_sandboxed(png((4899, 4898)), "large.png")
    assert isinstance(picture, Picture)
    assert picture.pixels.shape == (4898, 4899, 3)
    assert (picture.pixels == (255, 0, 0)).all()


def test_decoding_needs_no_torch_and_leaves_no_process_behind(tmp_path: Path) -> None:
    """Runs in a separate process, in a folder with a module that would shadow an installed one."""
    (tmp_path / "soundfile.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "x.wav").write_bytes(wav())
    code = """
import sys, pathlib
from cpc_engine.media import decode_sandboxed, start_sandbox
from cpc_engine.media.sandbox import _sandbox
start_sandbox()
decode_sandboxed(pathlib.Path("x.wav").read_bytes(), "x.wav")
assert "torch" not in sys.modules
print(_sandbox._idle[0].process.pid)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = """
import time
from cpc_engine.media import decode_sandboxed
from cpc_engine.media.sandbox import _sandbox
_sandbox.start()
print(_sandbox._idle[0].process.pid, flush=True)
time.sleep(100)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not started(pid), "the worker to end")
