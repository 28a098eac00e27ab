"""Tests of the commands that repeat a run."""

from __future__ import annotations

import shlex

import pytest

from cpc_engine import PRESETS, preset
from cpc_engine.cli.commands import _configured
from cpc_engine.cli.parser import parse
from cpc_engine.comparison.commands import cli_command


@pytest.mark.parametrize("name", PRESETS)
def test_commands_repeat_the_same_configuration(name: str) -> None:
    config = (
        preset(name)
        .config()
        .replace(
            {
                "run.seed": 3,
                "run.name": "it's; rm -rf $HOME `x`",
                "context.horizons": [1, 3],
                "data.classes": ["a b", "c"],
                "loss.temperature": 0.07,
            }
        )
    )
    words = shlex.split(cli_command(config))
    assert words[:3] == ["python", "-m", "cpc_engine"]
    assert _configured(parse(words[3:])) == config
