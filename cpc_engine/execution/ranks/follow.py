"""A rank of a run that takes part in its steps and nothing else: it reads the data, and writes no file.

`python -m cpc_engine.execution.ranks.follow RANK COUNT FOLDER` is one that rank 0 has started on its machine.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

from safetensors.torch import load

from ...config import RunConfig
from ...data import load_dataset
from ...errors import ClusterError, CpcError
from ...training.ranks import ManyRanks
from ...training.trainer import Trainer
from ..device import enough_memory, fabric_on, pick_precision, torch_settings
from .layout import Layout
from .line import LEFT, Line, Word, leave, version


def follow(place: Layout, folder: Path | None = None) -> int:
    """Take part in a run until rank 0 ends it; returns an exit code.

    Args:
        place: of this process. folder: in which ranks of one machine meet; None where torchrun has started them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # rank 0 gets it too, ends its step and says so
    try:
        line = Line(place.rank, place.count, folder)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _take_part(line, place)
        leave()
    except ClusterError as error:
        if folder is None:  # else rank 0 tells
            print(f"rank {place.rank}: {error}", file=sys.stderr)
        return LEFT
    except CpcError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _take_part(line: Line, place: Layout) -> None:
    """Make the trainer that rank 0 has, and do what it says.

    Raises:
        ClusterError: another rank has gone. CpcError: the data or the device is not there, or memory runs out.
    """
    word, content = line.hear()
    if word is Word.END:
        return
    start = json.loads(content)
    if start["version"] != version():
        raise CpcError(f"rank 0 has version {start['version']} of CPC Lab, this one {version()}")
    config = RunConfig.from_dict(start["config"])
    with torch_settings(config.run, start["threads"]), enough_memory(config):
        device = place.device(config.run.device)
        data = load_dataset(config, device)
        fabric = fabric_on(device, pick_precision(config.run.precision, device))
        trainer = Trainer(config, data, fabric, ranks=ManyRanks(place.rank, place.count))
        line.check_data(data.fingerprint())
        while word is not Word.END:
            word, content = line.hear()
            if word is Word.CHANGE:
                trainer.change(RunConfig.from_dict(json.loads(content)))
            elif word is Word.STATE:
                trainer.load(load(content))
            elif word is not Word.END:
                trainer.step(word is Word.RECORDED_STEP)


def _end_with_rank_0() -> None:
    """End this process when the one that started it has ended."""
    while os.read(sys.stdin.fileno(), 1):  # not through a buffer, whose lock would be held when this process ends
        pass
    os._exit(LEFT)


def main(rank: int, count: int, folder: Path) -> int:
    threading.Thread(target=_end_with_rank_0, name="cpc-rank", daemon=True).start()
    (folder / f"here-{rank}").touch()
    return follow(Layout(rank, count, rank, count, False), folder)


if __name__ == "__main__":
    code = main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    sys.stderr.flush()
    os._exit(code)  # torch's threads can abort an interpreter that shuts down, and rank 0 would hear of that alone
