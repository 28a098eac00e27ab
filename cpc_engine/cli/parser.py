"""Parser of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..errors import ConfigError
from ..evaluation.metric_info import PRIMARY
from ..storage.remote.mirrors import local_root

PROGRAM = "cpc"
RUN_HELP = "a run's folder or id"


class _Parser(argparse.ArgumentParser):
    """A parser that raises ConfigError and accepts no abbreviated options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)  # an abbreviation may become ambiguous with a new option

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command line.

    Raises:
        ConfigError: invalid usage.
        SystemExit: after --help.

    Example:
        >>> parse(["train", "tones", "--steps", "10"]).steps
        10
    """
    if arguments[:1] == ["knobs"]:  # the command's old name
        arguments = ["settings", *arguments[1:]]
    experiments = ""
    if "experiment" in arguments:  # for its help only: importing them takes long
        from ..experiments.definitions import EXPERIMENTS

        experiments = ", ".join(EXPERIMENTS)
    parser = _Parser(prog=PROGRAM, description="Train, evaluate and compare CPC runs.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command", parser_class=_Parser)
    common = _Parser(add_help=False)
    common.add_argument(
        "--runs",
        type=local_root,
        metavar="DIR",
        help="folder of runs, or s3://bucket/prefix ($CPC_RUNS, or checkpoints/)",
    )
    common.add_argument("--json", action="store_true", help="print one JSON document on stdout")

    def add(name: str, help: str) -> argparse.ArgumentParser:
        parser = commands.add_parser(name, help=help, description=help, parents=[common])
        return parser

    add("presets", "the ready-made configurations")
    add("settings", "every setting with its range, default and meaning")

    train = add("train", "train a run")
    train.add_argument("name_of_preset", nargs="?", metavar="PRESET", help="short for --preset")
    train.add_argument("--preset", metavar="P", help="start from a preset (see presets)")
    train.add_argument("--config", type=Path, metavar="F", help="start from a JSON configuration")
    train.add_argument("--set", action="append", default=[], metavar="a.b=v", help="change a setting (see settings)")
    train.add_argument("--data", metavar="PATH", help="the data set's file or folder")
    train.add_argument("--steps", type=int, metavar="N", help="optimizer steps")
    train.add_argument("--seed", type=int, metavar="S", help="random seed of the run")
    train.add_argument("--device", metavar="D", help="auto, cpu, cuda, or cuda:N")
    train.add_argument("--name", metavar="L", help="a name to recognize the run by")

    resume = add("resume", "continue a run that ended early")
    resume.add_argument("run", help=RUN_HELP)
    resume.add_argument("--device", metavar="D", help="instead of the run's own: auto, cpu, cuda, or cuda:N")
    fork = add("fork", "go on from a run's checkpoint twice, with a change and without")
    fork.add_argument("run", help=RUN_HELP)
    fork.add_argument(
        "--set", action="append", default=[], metavar="a.b=v", help="what the fork changes (see settings)"
    )
    fork.add_argument("--undo-changes", action="store_true", help="from the start, without what was changed on the way")
    fork.add_argument("--steps", type=int, metavar="N", help="how many steps both go on")
    fork.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="pairs; each with data order and random numbers of its own"
    )
    fork.add_argument("--primary", metavar="METRIC", default=PRIMARY, help=f"the metric chosen before ({PRIMARY})")
    add("list", "all runs, newest first")

    evaluate = add("evaluate", "metrics and probes of a run on held-out items, with baselines")
    evaluate.add_argument("run", help=RUN_HELP)
    evaluate.add_argument("--data", metavar="PATH", help="where the data set is now")

    locate = add("locate", "say where a run's data set is now, or fetch it, for all runs beside it that name the same")
    locate.add_argument("run", help=RUN_HELP)
    locate.add_argument("--data", metavar="PATH", help="where the data set is now")
    locate.add_argument("--images", metavar="PATH", help="where the pictures of pairs are now")
    locate.add_argument("--download", action="store_true", help="fetch a data set that is known by name")

    embed = add("embed", "place files on a run's map")
    embed.add_argument("run", help=RUN_HELP)
    embed.add_argument("files", nargs="+", type=Path, metavar="FILE", help="sounds or pictures")

    compare = add("compare", "differing settings and metrics of runs, side by side")
    compare.add_argument("run", metavar="RUN", help=RUN_HELP)
    compare.add_argument("others", nargs="+", metavar="RUN", help="runs to compare it with")
    compare.add_argument("--primary", metavar="METRIC", default=PRIMARY, help=f"the metric chosen before ({PRIMARY})")

    export = add("export", "a run's network or embeddings as files of other programs (docs/export.md)")
    export.add_argument("run", metavar="RUN", help=RUN_HELP)
    formats = ("onnx", "pt2", "parquet", "csv", "npz", "projector")
    export.add_argument("--format", choices=formats, required=True, help="network: onnx, pt2; embeddings: the others")
    export.add_argument("--out", type=Path, metavar="PATH", required=True, help="file, or folder of projector")
    export.add_argument("--data", metavar="PATH", help="where the data set is now (embeddings)")

    experiment = add("experiment", "rerun a whole experiment: train its arms, evaluate them, write a report")
    experiment.add_argument("name", metavar="NAME", help=experiments)
    experiment.add_argument("--quick", action="store_true", help="few steps and items, one seed: a smoke test")
    experiment.add_argument("--seeds", type=int, metavar="N", help="runs per arm, seeds 0 to N − 1")
    experiment.add_argument("--arms", metavar="A,B", help="only these arms")
    experiment.add_argument("--data", metavar="PATH", help="the data set's file or folder, where one is needed")
    experiment.add_argument("--out", type=Path, metavar="DIR", help="the report's folder (RUNS/experiments/NAME)")
    experiment.add_argument("--report-only", action="store_true", help="train nothing, report what is there")

    bring = add("import", "bring a run in that someone else has trained: its folder, or a zip file of it")
    bring.add_argument("path", type=Path, metavar="PATH", help="a run's folder, or a zip file of one")

    sweep = add("sweep", "try many settings at several seeds, with several processes (docs/sweeps.md)")
    sweep.add_argument("study", metavar="STUDY", help="name of the sweep; one that exists goes on")
    sweep.add_argument("--preset", metavar="P", help="start from a preset (see presets)")
    sweep.add_argument("--set", action="append", default=[], metavar="a.b=v", help="change a setting of all its runs")
    sweep.add_argument("--data", metavar="PATH", help="the data set's file or folder")
    sweep.add_argument("--grid", action="append", default=[], metavar="a.b=1,2,3", help="every combination of values")
    sweep.add_argument("--space", type=Path, metavar="FILE.json", help="ranges and values that TPE draws from")
    sweep.add_argument("--trials", type=int, metavar="N", help="settings to draw (with --space)")
    sweep.add_argument("--seeds", type=int, metavar="K", help="runs of each setting, seeds 0 to K − 1 (1)")
    sweep.add_argument("--workers", type=int, default=1, metavar="N", help="processes, one thread each")
    sweep.add_argument("--metric", metavar="M", help=f"what decides ({PRIMARY}, on validation items)")
    sweep.add_argument("--prune", metavar="M", help="end runs early that fall behind the median in this metric")
    sweep.add_argument("--storage", metavar="URL", help="storage that machines share (postgresql://…; a local file)")
    where = "where runs execute: threads, local[:N], tcp://HOST:PORT of a Dask scheduler ($CPC_CLUSTER, or threads)"
    for command in (train, resume, fork, experiment, sweep):
        command.add_argument("--cluster", metavar="C", help=where)
    for command in (train, resume):
        command.add_argument(
            "--devices", type=int, metavar="N", help="share every batch among N GPUs, or N processes of a CPU (1)"
        )
        command.add_argument(
            "--nodes", type=int, default=1, metavar="M", help="machines with N devices each, started by torchrun (1)"
        )
    return parser.parse_args(list(arguments))
