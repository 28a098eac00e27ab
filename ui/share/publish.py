"""A folder ready for a model-hosting space: the page of one run, its weights, what it needs, and a model card."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import cpc_engine
from cpc_engine.errors import ConfigError, RunError
from cpc_engine.exports.model_card import model_card
from cpc_engine.storage.files import storing
from cpc_engine.storage.folder import PARTS, RunFolder
from cpc_engine.storage.leftovers import making

RUN = "run"
SHOWN = ("weights", "map", "ood", "probe", "evaluation")  # parts that the page reads
# What the page imports, by the name of the package that brings it.
NEEDS = (
    *("torch", "torchvision", "torchaudio", "safetensors", "pydantic", "numpy", "scipy", "pandas", "scikit-learn"),
    *("openTSNE", "umap-learn", "soundfile", "pillow", "gradio", "plotly"),
)
APP = '''"""The page of one frozen run: `python app.py`, or the entry of a model-hosting space."""

import os
import sys
from pathlib import Path

from share import main

run = Path(__file__).resolve().with_name("run")
host, port = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), os.environ.get("GRADIO_SERVER_PORT", "7860")
sys.exit(main([str(run), "--host", host, "--port", port]))
'''


def publish(folder: RunFolder, out: Path) -> list[Path]:
    """Write the folder; it must not exist, or be empty.

    Paths of this machine, the log, and the checkpoint stay behind: only what the page reads goes along, of the recorded
    steps the newest one that tells whether the latents have collapsed.

    Raises:
        RunError: the run has no weights or no map. ConfigError: `out` holds something. StorageError: it cannot be
            written.
    """
    if not folder.has("weights", "map"):
        raise RunError(f"{folder.id} has no weights or no map yet: it has not ended")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is not empty; give a new folder")
    with making(out) as made, storing(out):
        _copy_run(folder, made / RUN)
        package, pages = Path(cpc_engine.__file__).parent, Path(__file__).parents[1]
        left = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(package, made / "cpc_engine", ignore=left)
        (made / "ui").mkdir()
        shutil.copy(pages / "__init__.py", made / "ui")
        for part in ("share", "drawing"):
            shutil.copytree(pages / part, made / "ui" / part, ignore=left)
        shutil.copy(pages.parent / "share.py", made)
        if (license := pages.parent / "LICENSE").is_file():  # an installed package keeps it elsewhere
            shutil.copy(license, made)
        (made / "app.py").write_text(APP, encoding="utf-8")
        (made / "requirements.txt").write_text(_requirements(), encoding="utf-8")
        (made / "README.md").write_text(model_card(folder), encoding="utf-8")
    return sorted(path.relative_to(out) for path in out.iterdir())


def _copy_run(folder: RunFolder, target: Path) -> None:
    info = folder.info()
    data = {key: value for key, value in info.data.items() if key not in ("example", "skipped_files", "remarks")}
    target.mkdir()
    copy = RunFolder(target)
    shutil.copy(folder.path / "config.json", target)
    copy.settle({"data.path": None, "data.image_path": None})
    copy.replace_info(replace(info, data=data, pid=0, pid_started=0, machine=""))
    for part in SHOWN:
        for name in PARTS[part]:
            if (source := folder.path / name).is_file():
                shutil.copy(source, target / name)
    if measured := next((record for record in reversed(folder.records()) if record.get("geometry")), None):
        copy.append_record({key: value for key, value in measured.items() if key != "hard"})


def _requirements() -> str:
    """The versions that the run was shown with here, without the mark of a build ("+cpu")."""
    return "".join(f"{name}=={version(name).partition('+')[0]}\n" for name in NEEDS)
