"""A run as one file, to hand on: a zip file that `exports.bring` reads."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

from ..storage.folder import FILES, RunFolder
from ..storage.lock import at_work


def pack_run(folder: RunFolder, out: BinaryIO) -> None:
    """Write the files of a run as a zip file with one folder, named by the run's id.

    Nothing that is not part of a run goes along. Tensors do not shrink and are stored as they are.

    Raises:
        RunError: the run is trained or evaluated at the moment.

    Example:
        >>> import io, cpc_engine as cpc
        >>> stream = io.BytesIO()
        >>> pack_run(cpc.open("example-tones").folder, stream)
        >>> sorted(zipfile.ZipFile(stream).namelist())[0]
        'example-tones/config.json'
    """
    with at_work(folder.path), zipfile.ZipFile(out, "w") as archive:
        for name in FILES:
            if (path := folder.path / name).is_file():
                how = zipfile.ZIP_STORED if path.suffix == ".safetensors" else zipfile.ZIP_DEFLATED
                archive.write(path, f"{folder.id}/{name}", how)
