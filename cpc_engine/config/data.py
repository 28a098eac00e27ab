"""Which items a run learns from."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from ..datasets import DATASETS
from ..settings import Section, nearest, setting
from .name_pattern import NamePattern


class DataConfig(Section):
    """Which items a run learns from, and how they are split."""

    dataset: str = setting(
        "tones",
        "The data set: generated, known by name, or your own folders.",
        label="Data set",
        choices=tuple(DATASETS),
        words={name: spec.title for name, spec in DATASETS.items()},
    )
    path: str | None = setting(
        None,
        "A folder or file that holds the data; generated sets need none.",
        role="data_location",
        speed=False,
    )
    image_path: str | None = setting(
        None,
        "The folder of pictures to pair with sounds (`path` holds the sounds).",
        label="Folder of pictures",
        role="data_location",
        speed=False,
    )
    classes: tuple[str, ...] | None = setting(None, "Classes to use, by name; the data set's usual ones when not set.")
    groups: str = setting(
        "",
        "Files that stay in one split: those of one folder (`folder`) or with the same {group} in their name, as in "
        "`*_{group}_*`; each file by itself when empty.",
        label="Groups of files",
        speed=False,
        low="takes of one recording stand in training and test, so scores are too good",
        high="few groups: a class may have none to hold out",
    )
    train_items: int = setting(
        1024,
        "Training items to generate, or to use at most (0: all).",
        label="Training items",
        ge=0,
        le=1_000_000,
        speed=False,
        low="the queue soon holds copies of every item",
        high="more memory; an epoch takes longer",
    )
    test_items: int = setting(
        512,
        "Held-out items to generate, or to use at most (0: all).",
        label="Test items",
        ge=0,
        le=1_000_000,
        speed=False,
    )
    validation_share: float = setting(
        0.15, "Share of the training items kept aside to choose the probe's regularization.", ge=0.05, le=0.5
    )
    split: Literal["official", "speaker", "group"] = setting(
        "official",
        "How test items are chosen: as the data set or folder says, by leaving out one speaker of the spoken digits, "
        "or one group of your files (`data.groups`).",
        words={"official": "as the data say", "speaker": "one speaker held out", "group": "one group held out"},
    )
    held_out: str = setting(
        "george", "The speaker or group left out when the split is by one.", label="Held-out speaker or group"
    )
    download: bool = setting(
        False,
        "Fetch the data set where it is not on disk yet.",
        label="Allow the download",
        role="data_location",
        speed=False,
    )
    seed: int = setting(
        0, "Seed of generated items and of random splits.", label="Data seed", ge=0, le=2**31 - 1, speed=False
    )

    @field_validator("groups")
    @classmethod
    def _pattern(cls, text: str) -> str:
        if text not in ("", "folder"):
            NamePattern.parse(text)
        return text

    @field_validator("dataset")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in DATASETS:
            raise ValueError(f"unknown data set {name!r}{nearest(name, DATASETS)}")
        return name
