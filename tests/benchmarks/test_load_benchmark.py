"""The benchmark of several sessions: what it would find, and that a short one finds nothing."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import load
from tests.support.paths import REPOSITORY

pytest_plugins = ["tests.support.browser"]


def test_memory_is_that_of_a_process_and_of_those_below_it() -> None:
    code = "import sys; kept = bytearray(200 * 2**20); print('there', flush=True); sys.stdin.read()"
    before = load.memory_of(os.getpid())
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert 200 * 2**20 < load.memory_of(child.pid) < 300 * 2**20
        assert load.memory_of(os.getpid()) - before > 190 * 2**20
        child.kill()


def test_a_list_of_stored_runs_is_timed(tmp_path: Path) -> None:
    assert 0 < load.listed(tmp_path / "many", 20) < 1


def test_the_table_compares_the_second_quarter_with_the_last() -> None:
    memory = [(second, 1000 * 2**20 + (2**20 * 100 if second > 70 else 0)) for second in range(101)]
    text = load.table(load.Found(7, memory=memory), argparse.Namespace(sessions=2, minutes=1.0, queued=0), 0.05)
    assert "| memory in the last quarter | 1,100 MiB (+10.0 %) |" in text
    assert "| pages opened | 7 |" in text


@pytest.mark.browser
def test_two_sessions_see_their_own_runs(chromium: object) -> None:
    command = [sys.executable, "-m", "benchmarks.load", "--sessions", "2", "--minutes", "0.1", "--queued", "0"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr
    assert "| pages that were wrong | 0 |" in done.stdout
