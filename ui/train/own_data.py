"""The data of the next run: what they are, one's own as an upload or a path, and what a check of them finds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cpc_engine.config import RunConfig, all_settings
from cpc_engine.datasets import DATASETS

from ..components.settings_form import Changes, draw_setting
from ..drawing.pictures import spectrogram_png
from ..drawing.text import plain_name
from ..shell.errors import literal, plain_errors, sentence
from ..shell.session import root
from .draft import choose, draft_now, keep

if TYPE_CHECKING:
    from cpc_engine.data import Dataset

LARGEST = 200  # MB of one upload, as in .streamlit/config.toml
WINDOW = 512  # samples of a frame of the small spectrograms
SHOWN = 8  # items, of different classes as far as there are any


def show_data(config: RunConfig, base: RunConfig, changes: Changes, changed: Callable[[], None]) -> None:
    """Draw it.

    Args:
        config: the draft's. base: the preset's. changes: what differs; edited in place. changed: called after an edit.
    """
    spec = DATASETS[config.data.dataset]
    with st.container(border=True, key="data"):
        st.subheader(f"Data: {spec.title}", anchor=False)
        st.caption(spec.summary)
        with st.expander("Use your own sounds or pictures", expanded=spec.origin == "folder", key="own-data"):
            _upload()
            needed = [setting for setting in all_settings() if setting.path in dict(spec.needs)]
            for setting in needed:
                draw_setting(setting, base, changes, "own", changed)
        if spec.origin != "download" and all(config.flat()[path] for path, _ in spec.needs):
            with plain_errors(), st.spinner("Looking at the data …"):
                _found(*checked(config), spec.origin == "folder")


def checked(config: RunConfig) -> tuple[Dataset, bool]:
    """The data as a run would load them, and whether they are only a part (see `execution.own_data`).

    Raises:
        CpcError: a run would fail on them.
    """
    parts = config.to_dict()
    folders = [config.data.path, config.data.image_path]
    stamps = [Path(path).expanduser().stat().st_mtime_ns for path in folders if path and Path(path).is_dir()]
    return _checked(json.dumps([parts[name] for name in ("data", "audio", "image")]), tuple(stamps), config)


@st.cache_resource(max_entries=8, show_spinner=False)
def _checked(key: str, stamps: tuple[int, ...], _config: RunConfig) -> tuple[Dataset, bool]:
    from cpc_engine.execution.own_data import check_data

    return check_data(_config)


def _upload() -> None:
    """Files or a zip from the browser become the draft's data."""
    from cpc_engine.media import PICTURES, SOUNDS

    help = "A zip with one folder per class, or files named by their class and a number: dog_01.wav, dog_02.wav."
    label, kinds = "A zip file, or sounds or pictures", (".zip", *SOUNDS, *PICTURES)
    files = st.file_uploader(label, kinds, accept_multiple_files=True, key="upload", help=help, max_upload_size=LARGEST)
    ids = tuple(file.file_id for file in files)
    if not ids or ids == st.session_state.get("uploaded"):
        for line in st.session_state.get("upload-skipped", ()) if ids else ():
            st.caption(literal(f"Left out: {line}"))
        return
    with plain_errors(), st.spinner("Unpacking …"):
        from cpc_engine.execution.own_data import keep_upload

        kept = keep_upload([(file.name, file) for file in files], root())
        choose(kept.preset)
        draft_now()[1].update(kept.changes)
        keep()
        st.session_state.uploaded, st.session_state["upload-skipped"] = ids, kept.skipped[:5]
        st.rerun()


def _found(data: Dataset, part: bool, own: bool) -> None:
    """Classes with their counts, what was skipped and why, and a few items to look at and listen to."""
    if own:
        counts = {name: Counter(split.labels.tolist()) for name, split in data.splits()}
        total = ", ".join(f"{sum(count.values()):,} {name}" for name, count in counts.items())
        most = "a part of more files: " if part else ""
        st.markdown(f"**{len(data.classes)} classes** · {most}{total} items")
        rows = [
            {"class": title, **{name: count[label] for name, count in counts.items()}}
            for label, title in enumerate(data.classes)
        ]
        st.dataframe(rows, hide_index=True, height=min(35 * len(rows) + 38, 180))
        for line in data.remarks:
            st.caption(sentence(line))
        if data.skipped:
            with st.expander(f"{len(data.skipped)} files are skipped"):
                for line in data.skipped[:50]:
                    st.text(line)
    _items(data)


def _items(data: Dataset) -> None:
    from cpc_engine.data import preview_png, preview_wav

    split = data.train
    labels = split.labels.tolist()
    of_class = {label: [row for row, one in enumerate(labels) if one == label] for label in sorted(set(labels))}
    each = max(1, SHOWN // max(len(of_class), 1))
    rows = [row for members in of_class.values() for row in members[:each]][:SHOWN]
    with st.container(horizontal=True, gap="xsmall", key="samples"):
        for row in rows:
            name = plain_name(data.classes[labels[row]])
            with st.container(width=112, gap="xsmall"):
                if split.image is not None:
                    st.image(preview_png(split, row), width=112, alt=f"A picture of {name}.")
                if split.audio is not None:
                    st.image(_spectrogram(split.recording(row).numpy()), width=112, alt=f"Spectrogram of {name}.")
                    st.audio(preview_wav(split, row, data.sample_rate), format="audio/wav")
                st.caption(literal(name))


def _spectrogram(samples: np.ndarray) -> bytes:
    """A sound (L,) int16 as a small picture: time to the right, frequency upward."""
    window = min(WINDOW, len(samples))
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[:: max(window // 4, 1)]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)).T
    return spectrogram_png(np.log(spectrum + 1e-3 * spectrum.max() + 1e-6), 112, 80)
