"""URLs of runs and their mirrors."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cpc_engine.errors import ConfigError, StorageError
from cpc_engine.storage.folder import default_root
from cpc_engine.storage.listing import scan_runs
from cpc_engine.storage.remote.mirrors import MARKER, VARIABLE, local_root, url_of


def test_a_url_has_one_mirror_and_a_folder_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mirrors"))
    mirror = local_root("s3://lab/group/runs")
    assert mirror == local_root("s3://lab/group/runs/")
    assert mirror.parent == tmp_path / "mirrors"
    assert url_of(mirror) == "s3://lab/group/runs"
    assert local_root("s3://lab/group-runs") != mirror, "their readable parts are alike"
    assert (local_root(tmp_path), url_of(tmp_path)) == (tmp_path, None)
    assert local_root(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    monkeypatch.setenv("CPC_RUNS", "s3://lab/group/runs")
    assert default_root() == mirror


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///runs",
        "s3://lab/../other",
        "s3://lab/.hidden",
        "s3://key:secret@lab/runs",  # pragma: allowlist secret
        "s3://lab/a?b",
        "s3://lab/a\nb",
        "http://host/runs",
        "gs://lab/runs",
        "file://host/runs",
    ],
)
def test_other_urls_are_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError, match="runs cannot be at"):
        local_root(url)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_mirror_is_told(tmp_path: Path) -> None:
    for content in ("", "[]", '{"url": "ftp://host"}', '{"url": 3}'):
        (tmp_path / MARKER).write_text(content)
        with pytest.raises(StorageError, match=r"\.remote\.json is damaged"):
            scan_runs(tmp_path)


def test_without_s3fs_one_line_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigError, match=r'pip install "\.\[remote\]"'):
        scan_runs(local_root("s3://no-such-bucket-of-mine/runs"))
