"""What the command line accepts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..errors import ConfigError

RUN_HELP = "a run's folder or id"


class _Parser(argparse.ArgumentParser):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)  # `--js` would mean --json to some of us only

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The parsed command.

    Raises:
        ConfigError: usage that cannot be understood.
        SystemExit: after --help.
    """
    parser = _Parser(prog="python -m cpc_engine", description="Train, evaluate and compare CPC runs.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command", parser_class=_Parser)
    common = _Parser(add_help=False)
    common.add_argument("--runs", type=Path, default=Path("checkpoints"), metavar="DIR", help="folder of runs")
    common.add_argument("--json", action="store_true", help="print one JSON document on stdout")

    def add(name: str, help: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help, description=help, parents=[common])

    add("presets", "the ready-made configurations")
    add("knobs", "every knob with its range, default and meaning")

    train = add("train", "train a run")
    train.add_argument("--preset", metavar="P", help="start from a preset (see presets)")
    train.add_argument("--config", type=Path, metavar="F", help="start from a JSON configuration")
    train.add_argument("--set", action="append", default=[], metavar="a.b=v", help="change a knob (see knobs)")
    train.add_argument("--data", metavar="PATH", help="the data set's file or folder")
    train.add_argument("--steps", type=int, metavar="N", help="optimiser steps")
    train.add_argument("--seed", type=int, metavar="S", help="the run's seed")
    train.add_argument("--device", metavar="D", help="auto, cpu, cuda or cuda:N")
    train.add_argument("--name", metavar="L", help="a name to recognise the run by")

    add("resume", "go on with a run that ended early").add_argument("run", help=RUN_HELP)
    add("list", "all runs, newest first")

    evaluate = add("evaluate", "measures and probes of a run on held-out items, with baselines")
    evaluate.add_argument("run", help=RUN_HELP)
    evaluate.add_argument("--data", metavar="PATH", help="where the data set is now")

    embed = add("embed", "place files on a run's map")
    embed.add_argument("run", help=RUN_HELP)
    embed.add_argument("files", nargs="+", type=Path, metavar="FILE", help="sounds or pictures")

    compare = add("compare", "settings that differ and measures of runs, side by side")
    compare.add_argument("run", metavar="RUN", help=RUN_HELP)
    compare.add_argument("others", nargs="+", metavar="RUN", help="those to compare it with")

    experiment = add("experiment", "rerun a whole experiment: train its arms, evaluate them, write a report")
    experiment.add_argument("name", metavar="NAME", help="tones, cifar10, tones_bars, fsdd, fsdd_speakers, keypad, …")
    experiment.add_argument("--quick", action="store_true", help="few steps and items, one seed: a smoke test")
    experiment.add_argument("--seeds", type=int, metavar="N", help="runs per arm, seeds 0 to N − 1")
    experiment.add_argument("--arms", metavar="A,B", help="only these arms")
    experiment.add_argument("--data", metavar="PATH", help="the data set's file or folder, where one is needed")
    experiment.add_argument("--out", type=Path, metavar="DIR", help="the report's folder (RUNS/experiments/NAME)")
    experiment.add_argument("--report-only", action="store_true", help="train nothing, report what is there")
    return parser.parse_args(list(arguments))
