"""The engine's use of torchaudio while another thread imports it, as the app does before anybody asks for a run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.paths import REPOSITORY

RACE = """
import sys, threading, time
import numpy as np
from cpc_engine.config import AudioConfig
from cpc_engine.media.resample import fit_clips
from cpc_engine.model.frontends import AudioFeatures

failed = []
def ahead():
    try:
        import torchaudio
    except ImportError as error:
        failed.append(error)

assert "torchaudio" not in sys.modules
thread = threading.Thread(target=ahead)
thread.start()
while "torchaudio" not in sys.modules:
    time.sleep(0.0005)
{use}
thread.join()
sys.exit(str(failed[0]) if failed else 0)
"""


@pytest.mark.parametrize("use", ["AudioFeatures(AudioConfig())", "fit_clips([(np.ones(800), 8000)], 16000, 16000)"])
def test_neither_thread_gets_half_a_module(use: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", RACE.format(use=use)], cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
