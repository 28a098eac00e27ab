"""What a file of results needs besides its numbers to be measured again: settings, data, code, versions, device."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..comparison.planned import as_planned
from ..config import RunConfig, paths_with_role
from ..errors import ConfigError
from ..presets import preset

Recipe = dict[str, Any]

PACKAGES = ("torchaudio", "torchvision", "numpy", "scikit-learn")
_ROOT = Path(__file__).resolve().parents[2]
_WRITTEN = ("benchmarks/results", "docs", "README.md")  # by the measurements themselves; they do not change the code


def recipe(
    command: str,
    configs: Mapping[str, tuple[str, RunConfig]],
    data: Mapping[str, str | None],
    parameters: Mapping[str, Any] | None = None,
    device: str = "cpu",
    packages: Sequence[str] = (),
) -> Recipe:
    """Return the recipe of a measurement, as JSON can hold it; it names no path of this machine.

    Args:
        command: the shell command that repeats it.
        configs: {title: (preset, configuration)} of everything that was trained; the seed is left out.
        data: {title: `Dataset.fingerprint()`} of the data sets that were used; None where it is not known.
        parameters: everything else that decides the numbers, for measurements without a `RunConfig`.
        device: as torch names it. packages: packages besides torch and `PACKAGES` whose versions matter.
    """
    return {
        "command": command,
        "configs": {title: _resolved(name, config) for title, (name, config) in configs.items()},
        "parameters": dict(parameters or {}),
        "data": dict(data),
        **source(device, packages),
    }


def source(device: str = "cpu", packages: Sequence[str] = ()) -> Recipe:
    """Return the commit, whether tracked files were changed since, versions, and the device; commit null without git.

    Example:
        >>> found = source()
        >>> sorted(found), sorted(found["device"])
        (['commit', 'device', 'dirty', 'versions'], ['cpu', 'threads'])
    """
    import torch

    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *(f":!{path}" for path in _WRITTEN))
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    for name in (*PACKAGES, *packages):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue  # an optional one
    facts: dict[str, Any] = {"cpu": cpu_name(), "threads": torch.get_num_threads()}
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name(device)
    return {
        "commit": commit,
        "dirty": None if changed is None else bool(changed),
        "versions": versions,
        "device": facts,
    }


def incomplete(found: Recipe) -> list[str]:
    """Return the parts of a recipe that are missing or empty."""
    missing = [name for name in ("command", "commit", "versions", "device") if not found.get(name)]
    missing += ["dirty"] if not isinstance(found.get("dirty"), bool) else []
    missing += [name for name in ("python", "torch", "numpy") if name not in found.get("versions", {})]
    if not found.get("configs") and not found.get("parameters"):
        missing.append("configs or parameters")
    if found.get("configs") and not (found.get("data") and all(found["data"].values())):
        missing.append("data")
    if None in found.get("trained", ()):
        missing.append("trained")
    return missing


def differing(found: Recipe, today: Mapping[str, RunConfig]) -> list[str]:
    """Return one line for each configuration of a recipe that would be another one today, with the settings.

    Settings that are newer than the recipe have their defaults, which keep the meaning of older configurations. Where a
    setting of today is 0 because it follows from the data, the number that was found there is not compared.

    Args:
        today: {title: configuration}; where a title is not in it, its preset of today with the same changes counts.
    """
    lines = []
    for title, entry in found["configs"].items():
        try:
            now = today[title] if title in today else preset(entry["preset"]).config().replace(entry["changes"])
            then = RunConfig.from_dict(entry["settings"])
        except ConfigError as error:
            lines.append(f"{title}, preset {entry['preset']}: {error}")
            continue
        differences = as_planned(then, now).differences(_neutral(now))
        settings = [f"{path} was {old!r}, is {new!r}" for path, (old, new) in differences.items()]
        if settings:
            lines.append(f"{title}, preset {entry['preset']}: {'; '.join(settings)}")
    return lines


def cpu_name() -> str:
    """Return the model name of this machine's CPU."""
    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.is_file() else []
    return models[0].partition(":")[2].strip() if models else platform.processor() or platform.machine()


def _resolved(name: str, config: RunConfig) -> dict[str, Any]:
    neutral = _neutral(config)
    changes = {path: value for path, (value, _) in neutral.differences(_neutral(preset(name).config())).items()}
    return {"preset": name, "changes": changes, "settings": neutral.to_dict()}


def _neutral(config: RunConfig) -> RunConfig:
    """Return a configuration without the location of the data, labels, and the seed."""
    defaults = RunConfig().flat()
    return config.replace({path: defaults[path] for path in paths_with_role("data_location", "label", "seed")})


@cache  # the code that runs is that of the first call, however long a measurement takes
def _git(*arguments: str) -> str | None:
    """Return what git says of this code; None where it is no checkout, or there is no git."""
    try:
        done = subprocess.run(["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
