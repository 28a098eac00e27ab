"""The command line in this process: what it answers, and inputs for it."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tests.support.tiny import CHANGES

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
