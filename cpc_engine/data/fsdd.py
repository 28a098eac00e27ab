"""Load the Free Spoken Digit Dataset (FSDD): 3000 recordings named digit_speaker_index.wav (CC BY-SA 4.0)."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import re
import tarfile
import tempfile
import urllib.request
from dataclasses import replace
from pathlib import Path

import torch

from ..config import RunConfig
from ..errors import DataError, NotHereError, StorageError
from ..settings import unknown
from .dataset import Dataset, Split
from .loading import Progress, load_sounds
from .relations.duplicates import leave_out
from .splits import capped, chosen_classes, labels_tensor, take_validation

COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
URL = f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{COMMIT}.tar.gz"
COUNT = 3000
# SHA-256 of the lines "name SHA-256-of-the-file\n" of all recordings, sorted by name (see `digest`)
DIGEST = "dbd573d7cafe79c4b49f65718115e1304e24e067fa39eff18a660dc6cb9c360f"
CACHE = Path("~/.cache/cpc_lab/fsdd")
TEST_TAKES = 5  # the official test set has the recordings with index 0 to 4 of each speaker and digit
_NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")
_MAX_ARCHIVE = 128 * 2**20
_MAX_RECORDING = 2 * 2**20


def fsdd(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Load the spoken digits "0" to "9". Groups are speakers.

    `data.split` selects the split:

    - "official": recordings with index 0 to 4 are the test set; validation items are drawn at random from the others.
    - "speaker": the speaker `data.held_out` is the test set, and another speaker, chosen by `data.seed`, is the
      validation set.

    Raises:
        DataError: there are no recordings (the message says how to get them).
        ConfigError: the speaker or a class does not exist.
    """
    root = _recordings(config, progress)
    recordings = [(path, match) for path in sorted(root.iterdir()) if (match := _NAME.fullmatch(path.name))]
    if not recordings:
        raise DataError(f"no recordings named digit_speaker_index.wav in {root}")
    classes = chosen_classes(config.data, sorted({match[1] for _, match in recordings}))
    recordings = [(path, match) for path, match in recordings if match[1] in classes]
    speakers = sorted({match[2] for _, match in recordings})
    by_speaker = config.data.split == "speaker"
    if by_speaker and config.data.held_out not in speakers:
        raise unknown("speaker", config.data.held_out, speakers)
    loaded = load_sounds([path for path, _ in recordings], root, config, device, progress)
    matches = [recordings[row][1] for row in loaded.rows]
    all_items = Split(
        audio=loaded.values,
        image=None,
        labels=labels_tensor([classes.index(match[1]) for match in matches]).to(loaded.values.device),
        names=tuple(match[0] for match in matches),
        groups=tuple(match[2] for match in matches),
        lengths=loaded.lengths,
    )
    in_test = [match[2] == config.data.held_out if by_speaker else int(match[3]) < TEST_TAKES for match in matches]
    seed = config.data.seed
    train = capped(all_items.take(_rows(in_test, False)), config.data.train_items, seed)
    test = capped(all_items.take(_rows(in_test, True)), config.data.test_items, seed)
    # In the official split only copies have to stay together; a validation set of one speaker would be another task.
    single, remarks = leave_out(replace(train, groups=train.names), test, "audio")
    if by_speaker:
        left = set(single.names)
        train = train.take(_rows([name in left for name in train.names], True))
    else:
        speakers_of = dict(zip(train.names, train.groups, strict=True))
        train = replace(single, groups=tuple(speakers_of[name] for name in single.names))
    train, validation = take_validation(train, config.data, None if by_speaker else single.groups)
    return Dataset(
        name="fsdd",
        classes=classes,
        train=train,
        validation=validation,
        test=test,
        sample_rate=config.audio.sample_rate,
        skipped=tuple(loaded.skipped),
        remarks=remarks,
    )


def _rows(flags: list[bool], value: bool) -> torch.Tensor:
    """Indices (int64) at which `flags` equals `value`."""
    return torch.tensor([row for row, flag in enumerate(flags) if flag is value], dtype=torch.int64)


def is_within_reach(config: RunConfig) -> bool:
    """Whether there are recordings where they are looked for, or they are to be fetched.

    Example:
        >>> is_within_reach(RunConfig().replace({"data.dataset": "fsdd", "data.path": "/nowhere"}))
        False
    """
    return config.data.download or _lying(_place(config)) is not None


def _place(config: RunConfig) -> Path:
    return Path(os.path.expanduser(config.data.path or CACHE))


def _lying(folder: Path) -> Path | None:
    """The folder with the recordings, which is `folder` or inside it; None where there are none."""
    root = folder / "recordings" if (folder / "recordings").is_dir() else folder
    return root if root.is_dir() and any(_NAME.fullmatch(path.name) for path in root.iterdir()) else None


def _recordings(config: RunConfig, progress: Progress | None) -> Path:
    """The folder with the recordings. If there are none and `data.download` is set, download them first."""
    folder = _place(config)
    if root := _lying(folder):
        return root
    if config.data.download:
        return _fetch(folder, progress)
    how = "fetch them with --set data.download=true, or name their folder with --data FOLDER"
    raise NotHereError(f"no spoken digits (digit_speaker_index.wav) in {folder}", how)


def _fetch(folder: Path, progress: Progress | None) -> Path:
    """Download the pinned archive and write its recordings to `folder`/recordings, either all of them or none.

    Of several processes that do so at once the first one's recordings stay.
    """
    recordings = unpack(_download(progress))
    target = folder / "recordings"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".recordings-", dir=folder, ignore_cleanup_errors=True) as work:
            part = Path(work) / "recordings"
            part.mkdir()
            for name, data in recordings.items():
                (part / name).write_bytes(data)
            if _lying(folder) != target:
                part.rename(target)
    except OSError as error:
        if _lying(folder) == target:  # another process was faster
            return target
        raise StorageError(f"cannot write the spoken digits to {folder}: {error.strerror or error}") from None
    return target


def _download(progress: Progress | None) -> bytes:
    """The bytes of the pinned archive."""
    try:
        with urllib.request.urlopen(URL, timeout=30) as response:
            archive = bytearray()
            while block := response.read(2**18):
                archive += block
                if len(archive) > _MAX_ARCHIVE:
                    raise DataError("the spoken digits' archive is far larger than expected")
                if progress is not None:  # the archive has about 16 MB; the server does not report its size
                    progress("fetching spoken digits", min(len(archive) / 16e6, 1.0))
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"the spoken digits could not be fetched: {error}") from None
    return bytes(archive)


def unpack(archive: bytes) -> dict[str, bytes]:
    """Read the recordings in a .tar.gz archive: {file name: bytes} of recordings/*.wav.

    Nothing is written to disk, so malicious paths in the archive have no effect.

    Raises:
        DataError: the bytes are not an archive, or not exactly the 3000 recordings of the pinned commit.
    """
    recordings: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                folder, _, name = member.name.rpartition("/")
                if not (member.isfile() and folder.endswith("/recordings") and _NAME.fullmatch(name)):
                    continue
                file = tar.extractfile(member)
                if file is None or member.size > _MAX_RECORDING or len(recordings) >= COUNT:
                    raise DataError(f"the spoken digits' archive holds an unexpected file: {name}")
                recordings[name] = file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"the spoken digits' archive is damaged: {error}") from None
    if len(recordings) != COUNT or digest(recordings) != DIGEST:
        raise DataError(f"the spoken digits' archive is not the expected one ({len(recordings)} of {COUNT} recordings)")
    return recordings


def digest(recordings: dict[str, bytes]) -> str:
    """Compute one SHA-256 over the names and contents of all recordings.

    Example:
        >>> digest({"0_theo_0.wav": b"abc"})[:12]
        '4810e6c6f53d'
    """
    total = hashlib.sha256()
    for name in sorted(recordings):
        total.update(f"{name} {hashlib.sha256(recordings[name]).hexdigest()}\n".encode())
    return total.hexdigest()
