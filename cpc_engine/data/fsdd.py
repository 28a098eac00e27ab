"""Free Spoken Digit Dataset: 3000 recordings named digit_speaker_index.wav (CC BY-SA 4.0)."""

from __future__ import annotations

import hashlib
import http.client
import io
import re
import shutil
import tarfile
import urllib.request
from pathlib import Path

import torch

from ..config import RunConfig
from ..errors import DataError, StorageError
from ..knobs import unknown
from .files import Progress, load_sounds
from .items import Dataset, Split
from .splits import capped, chosen_classes, labels_tensor, take_validation

COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
URL = f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{COMMIT}.tar.gz"
COUNT = 3000
# sha256 over the lines "name sha256-of-its-bytes\n" of all recordings, sorted by name
DIGEST = "dbd573d7cafe79c4b49f65718115e1304e24e067fa39eff18a660dc6cb9c360f"
CACHE = Path("~/.cache/cpc_lab/fsdd")
TEST_TAKES = 5  # takes 0 to 4 are the official test set
_NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")
_MAX_ARCHIVE = 128 * 2**20
_MAX_RECORDING = 2 * 2**20


def fsdd(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Spoken digits "0" to "9"; groups are speakers.

    split="official": takes 0 to 4 are the test set, validation is drawn at random from the other takes.
    split="speaker": `data.held_out` is the test set, and validation is one other speaker, chosen by the seed.

    Raises:
        DataError: no recordings found (says how to get them).
        ConfigError: no such speaker or class.
    """
    root = _recordings(config, progress)
    named = [(path, match) for path in sorted(root.iterdir()) if (match := _NAME.fullmatch(path.name))]
    if not named:
        raise DataError(f"no recordings named digit_speaker_index.wav in {root}")
    classes = chosen_classes(config.data, sorted({match[1] for _, match in named}))
    named = [(path, match) for path, match in named if match[1] in classes]
    speakers = sorted({match[2] for _, match in named})
    by_speaker = config.data.split == "speaker"
    if by_speaker and config.data.held_out not in speakers:
        raise unknown("speaker", config.data.held_out, speakers)
    loaded = load_sounds([path for path, _ in named], root, config, device, progress)
    matches = [named[row][1] for row in loaded.rows]
    whole = Split(
        audio=loaded.values,
        image=None,
        labels=labels_tensor([classes.index(match[1]) for match in matches]).to(loaded.values.device),
        sources=tuple(match[0] for match in matches),
        groups=tuple(match[2] for match in matches),
    )
    held = [match[2] == config.data.held_out if by_speaker else int(match[3]) < TEST_TAKES for match in matches]
    seed = config.data.seed
    train = capped(whole.take(_rows(held, False)), config.data.train_items, seed)
    train, validation = take_validation(train, config.data, grouped=by_speaker)
    return Dataset(
        name="fsdd",
        classes=classes,
        train=train,
        validation=validation,
        test=capped(whole.take(_rows(held, True)), config.data.test_items, seed),
        sample_rate=config.audio.sample_rate,
        skipped=tuple(loaded.skipped),
    )


def _rows(held: list[bool], side: bool) -> torch.Tensor:
    return torch.tensor([row for row, out in enumerate(held) if out is side], dtype=torch.int64)


def _recordings(config: RunConfig, progress: Progress | None) -> Path:
    """The folder that holds the recordings, fetched first where that is allowed and needed."""
    given = Path(config.data.path or CACHE).expanduser()
    root = given / "recordings" if (given / "recordings").is_dir() else given
    if root.is_dir() and any(_NAME.fullmatch(path.name) for path in root.iterdir()):
        return root
    if config.data.download:
        return _fetch(given, progress)
    how = "fetch them with `--set data.download=true`, or name their folder with `--data FOLDER`"
    raise DataError(f"no spoken digits (digit_speaker_index.wav) in {given}; {how}")


def _fetch(folder: Path, progress: Progress | None) -> Path:
    """Downloads the pinned archive and writes its recordings to `folder`/recordings, all or nothing."""
    recordings = unpack(_download(progress))
    target, part = folder / "recordings", folder / "recordings.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, data in recordings.items():
            (part / name).write_bytes(data)
        part.rename(target)
    except OSError as error:
        raise StorageError(f"cannot write the spoken digits to {folder}: {error.strerror or error}") from None
    return target


def _download(progress: Progress | None) -> bytes:
    try:
        with urllib.request.urlopen(URL, timeout=30) as answer:
            archive = bytearray()
            while block := answer.read(2**18):
                archive += block
                if len(archive) > _MAX_ARCHIVE:
                    raise DataError("the spoken digits' archive is far larger than expected")
                if progress is not None:  # about 16 MB; the server does not say how much
                    progress("fetching spoken digits", min(len(archive) / 16e6, 1.0))
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"the spoken digits could not be fetched: {error}") from None
    return bytes(archive)


def unpack(archive: bytes) -> dict[str, bytes]:
    """{name: bytes} of recordings/*.wav in a .tar.gz; nothing is written, so no path of the archive is trusted.

    Raises:
        DataError: not an archive, or not exactly the 3000 recordings of the pinned commit.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                folder, _, name = member.name.rpartition("/")
                if not (member.isfile() and folder.endswith("/recordings") and _NAME.fullmatch(name)):
                    continue
                file = tar.extractfile(member)
                if file is None or member.size > _MAX_RECORDING or len(found) >= COUNT:
                    raise DataError(f"the spoken digits' archive holds an unexpected file: {name}")
                found[name] = file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"the spoken digits' archive is damaged: {error}") from None
    if len(found) != COUNT or digest(found) != DIGEST:
        raise DataError(f"the spoken digits' archive is not the expected one ({len(found)} of {COUNT} recordings)")
    return found


def digest(recordings: dict[str, bytes]) -> str:
    """One sha256 over the names and contents of all recordings."""
    total = hashlib.sha256()
    for name in sorted(recordings):
        total.update(f"{name} {hashlib.sha256(recordings[name]).hexdigest()}\n".encode())
    return total.hexdigest()
