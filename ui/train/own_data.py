"""The data of the next run: what they are, one's own as an upload or a path, and what a check of them finds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from cpc_engine.config import RunConfig, all_settings
from cpc_engine.datasets import DATASETS, DatasetSpec
from cpc_engine.errors import CpcError

from ..components.items import show_look
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


@dataclass(frozen=True)
class Look:
    """What is known of a draft's data before a run begins.

    Attributes:
        config: the draft's, with the numbers that follow from the data where these were read.
        items: training items; None where only the settings tell.
        sized: whether sizes in `config` are those of the data. Folders tell theirs only once they were read.
        data: as a run would load them, `part` of them where there are many; None where they were not read.
        problem: why a run would fail on them; empty where nothing is known to be wrong.
    """

    config: RunConfig
    items: int | None = None
    sized: bool = True
    data: Dataset | None = None
    part: bool = False
    problem: str = ""


def look(config: RunConfig) -> Look:
    """Look at a draft's data, as far as no download is needed for that."""
    spec, values = DATASETS[config.data.dataset], config.flat()
    if spec.origin == "download":
        where = f"in {config.data.path}" if config.data.path else "on this machine"
        return Look(config, problem="" if spec.is_within_reach(config) else f"The data are not {where}.")
    if not all(values[path] for path, _ in spec.needs):
        return Look(config, sized=False)  # `diagnostics` says so
    try:
        data, part, found = checked(config)
    except CpcError as error:
        return Look(config, sized=False, problem=str(error))
    sizes = {path: value for path, value in found.items() if not values[path]}
    return Look(config.replace(sizes), None if part else len(data.train), True, data, part)


def show_data(found: Look, base: RunConfig, changes: Changes, changed: Callable[[], None]) -> None:
    """Draw it.

    Args:
        found: of the draft. base: the preset's. changes: what differs; edited in place. changed: called after an edit.
    """
    spec = DATASETS[found.config.data.dataset]
    with st.container(border=True, key="data"):
        st.subheader(f"Data: {spec.title}", anchor=False)
        st.caption(spec.summary)
        with st.expander("Use your own sounds or pictures", expanded=spec.origin == "folder", key="own-data"):
            _upload()
            needed = [setting for setting in all_settings() if setting.path in dict(spec.needs)]
            for setting in needed:
                draw_setting(setting, base, changes, "own", changed)
        if spec.origin == "download":
            _fetched(found, spec, base, changes, changed)
        elif found.problem:
            st.error(sentence(found.problem), icon=":material/error:")
        elif found.data:
            with plain_errors():
                _found(found.data, found.part, spec.origin == "folder")


def _fetched(found: Look, spec: DatasetSpec, base: RunConfig, changes: Changes, changed: Callable[[], None]) -> None:
    """Data that are known by name: where they are, or how a run gets them."""
    if found.config.data.download:
        st.info(f"What is not on this machine is fetched when the run begins ({spec.megabytes} MB).")
    if not found.problem:
        return

    def allow() -> None:
        changes["data.download"] = True
        changed()

    st.warning(f"**{sentence(found.problem)}** Let the run fetch them, or say where they are.")
    label = f"Download ({spec.megabytes} MB)"
    # A file that is named but not there cannot be fetched.
    fetchable = spec.is_within_reach(found.config.replace({"data.download": True}))
    st.button(label, icon=":material/download:", key="download", on_click=allow, disabled=not fetchable)
    [path] = [setting for setting in all_settings() if setting.path == "data.path"]
    draw_setting(path, base, changes, "own", changed)


def checked(config: RunConfig) -> tuple[Dataset, bool, dict[str, Any]]:
    """The data as a run would load them, whether they are only a part (see `execution.own_data`), and their sizes.

    Returns:
        The sizes as {"section.setting": value} of the settings that can follow from the data.

    Raises:
        CpcError: a run would fail on them.
    """
    from cpc_engine.execution.own_data import data_stamp

    parts = config.to_dict()
    key = json.dumps([parts[name] for name in ("data", "audio", "image")])
    return _checked(key, data_stamp(config), config)


@st.cache_resource(max_entries=8, show_spinner=False)
def _checked(key: str, stamp: tuple[tuple[int, int], ...], _config: RunConfig) -> tuple[Dataset, bool, dict[str, Any]]:
    from cpc_engine.data import follow_data
    from cpc_engine.execution.own_data import check_data

    sizes = follow_data(_config).flat()
    return *check_data(_config), {path: sizes[path] for path in DATASETS[_config.data.dataset].native}


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
                    show_look(preview_png(split, row), None, f"A picture of {name}.", 112)
                if split.audio is not None:
                    spectrogram = _spectrogram(split.recording(row).numpy())
                    show_look(spectrogram, preview_wav(split, row, data.sample_rate), f"Spectrogram of {name}.", 112)
                st.caption(literal(name))


@st.cache_data(max_entries=256, show_spinner=False)
def _spectrogram(samples: np.ndarray) -> bytes:
    """A sound (L,) int16 as a small picture: time to the right, frequency upward."""
    window = min(WINDOW, len(samples))
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[:: max(window // 4, 1)]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)).T
    return spectrogram_png(np.log(spectrum + 1e-3 * spectrum.max() + 1e-6), 112, 80)
