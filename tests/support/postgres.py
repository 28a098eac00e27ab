"""A PostgreSQL server of a test's own, on a free port of this machine; skipped where it is not installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def binaries() -> Path:
    """The folder of initdb and pg_ctl."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        pytest.skip("no PostgreSQL here: apt-get install postgresql, as .ci/run does")
    return folders[-1]


@contextmanager
def server() -> Iterator[str]:
    """The address of an empty database."""
    folder = binaries()
    # The server refuses to run as root, and another user cannot enter pytest's folders.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = Path(tempfile.mkdtemp(prefix="cpc-postgres-"))
    place.chmod(0o755)
    data = place / "data"
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(place, user)
        shutil.chown(data, user)

    def run(*command: str) -> None:
        done = subprocess.run(command, user=user if os.geteuid() == 0 else None, cwd=place, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()

    started = False
    try:
        run(str(folder / "initdb"), "--pgdata", str(data), "--username=cpc", "--auth=trust", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} -c fsync=off"
        run(str(folder / "pg_ctl"), "start", "-D", str(data), "-w", "-o", options, "-l", str(place / "log"))
        started = True
        yield f"postgresql://cpc@127.0.0.1:{port}/postgres"
    finally:
        if started:
            run(str(folder / "pg_ctl"), "stop", "-D", str(data), "-m", "immediate")
        shutil.rmtree(place, ignore_errors=True)
