"""A sweep in Optuna's storage: what it is to try, and its trials, which several processes and machines share.

All settings are queued as waiting trials when the sweep is made, and the storage gives each to one worker. Workers
therefore need no coordinator, try nothing twice, and a trial whose worker has gone is queued again.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import RunConfig
from ..errors import ConfigError, StorageError
from ..evaluation.metric_info import METRICS, PRIMARY, describe_metric
from ..evaluation.metric_values import given_metrics
from ..extras import extra
from ..storage.files import storing
from ..storage.info import is_id
from .space import Choice, Space
from .storage import open_storage

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

FOLDER = "sweeps"  # below the folder of runs
MOST_BYTES = 235  # of a name: files beside the list have up to 20 more, and 255 is the most
_SPEC = "cpc"


@dataclass(frozen=True)
class Spec:
    """What a sweep tries.

    Attributes:
        config: of its runs, with everything that the space does not vary.
        space: what it varies. trials: number of settings.
        seeds: runs of each setting, with seeds 0 to seeds − 1.
        metric: what decides; "probe" stands for the accuracy on validation items.
        prune: metric on held-out items during training by which the first run of a setting may end early; or None.
    """

    config: RunConfig
    space: Space
    trials: int
    seeds: int
    metric: str = PRIMARY
    prune: str | None = None

    def __post_init__(self) -> None:
        if self.trials < 1 or self.seeds < 1:
            raise ConfigError(f"a sweep needs at least one trial and one seed, not {self.trials} and {self.seeds}")
        for name in filter(None, (self.metric, self.prune)):
            if describe_metric(name).better == "neither" or (name != PRIMARY and "probe" in name) or "knn" in name:
                raise ConfigError(f"{name} cannot decide a sweep (probe, or one of {', '.join(_DECISIVE)})")
        if self.prune == PRIMARY:
            raise ConfigError("probe is not measured while a run trains; prune by another metric")

    def check(self) -> list[dict[str, Choice]]:
        """Check that the space fits, and that its runs will have the metrics that decide and that prune.

        Returns:
            The combinations of a grid, see `Space.check`.

        Raises:
            ConfigError: see `Space.check`, or a run that the space can try has no such metric.

        Example:
            >>> config = RunConfig().replace({"data.dataset": "tones"})
            >>> Spec(config, Space.of_grid(["loss.temperature=0.1"]), 1, 1, "retrieval_class").check()
            Traceback (most recent call last):
            cpc_engine.errors.ConfigError: retrieval_class is not measured with these data and settings (probe, \
alignment, uniformity, effective_rank, effective_rank_uncentered, spread, information_bound are)
        """
        cells = self.space.check(self.config)
        configs = [config for _, config in self.space.tried(self.config)] or [self.config]
        for config in configs:
            given = [PRIMARY, *given_metrics(config)]
            for name in filter(None, (self.metric, self.prune)):
                if name not in given:
                    told = ", ".join(one for one in given if one in METRICS)
                    raise ConfigError(f"{name} is not measured with these data and settings ({told} are)")
        if self.prune and not any(0 < one.evaluation.every < one.optimizer.steps for one in configs):
            raise ConfigError("nothing is pruned: evaluation.every leaves no measurement before a run's last step")
        return cells

    @property
    def higher(self) -> bool:
        """Whether higher values of the metric are better."""
        return describe_metric(self.metric).better == "higher"

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "config": self.config.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Spec:
        space = Space(values["space"]["sampler"], dict(values["space"]["dimensions"]))
        return cls(**{**values, "config": RunConfig.from_dict(values["config"]), "space": space})


_DECISIVE = tuple(n for n, metric in METRICS.items() if metric.better != "neither" and metric.curve == "held_out")


def storage_url(root: Path, study: str, url: str | None) -> str:
    """The address of a sweep's storage: `url`, or a file of its own below the folder of runs.

    Raises:
        ConfigError: the name of the study cannot be that of a file, or the folder's is no UTF-8, or Optuna is missing.
        StorageError: the folder cannot be made.
    """
    if not is_id(study) or len(study) > 100 or len(study.encode()) > MOST_BYTES:
        most = f"up to 100 characters and {MOST_BYTES} bytes"
        raise ConfigError(f"{study!r} cannot be the name of a sweep: {most}, no slash, no dot first")
    if url is None:
        extra("optuna", "sweep")
        from sqlalchemy.engine import URL

        with storing(root / FOLDER):
            (root / FOLDER).mkdir(parents=True, exist_ok=True)
        try:  # signs such as "?" and "%" mean something in an address
            return URL.create("sqlite", database=str((root / FOLDER / f"{study}.db").resolve())).render_as_string()
        except UnicodeEncodeError:
            raise ConfigError(
                f"the name of the folder {str(root)!r} is no UTF-8: a sweep cannot be kept there"
            ) from None
    scheme, mark, rest = url.partition("://")
    if not mark:
        raise ConfigError("--storage takes an address such as postgresql://user@host/database")
    if scheme in ("postgres", "postgresql"):
        extra("psycopg", "sweep")
        scheme = "postgresql+psycopg"
    return f"{scheme}://{rest}"


def open_study(url: str, name: str, spec: Spec | None = None) -> tuple[Study, Spec]:
    """Open a sweep, and make it where it does not exist and `spec` says what it is to be.

    Args:
        url: see `storage_url`. name: of the study.
        spec: what it is to try; None to open what is there.

    Raises:
        ConfigError: `spec` does not fit (see `Spec.check`), Optuna is missing, there is no such sweep, or it was made
            with another `spec`.
        StorageError: the storage cannot be reached.
    """
    cells = spec.check() if spec is not None else []
    optuna = quiet_optuna()
    from sqlalchemy.exc import SQLAlchemyError

    try:
        storage = open_storage(url, requeue)
        if spec is not None:
            _make(optuna, storage, name, spec, cells)
        try:
            study = optuna.load_study(study_name=name, storage=storage)
        except KeyError:
            raise ConfigError(f"there is no sweep {name!r}; give --preset and --grid or --space to start it") from None
        stored = Spec.from_dict(_stored(study))
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise StorageError(f"the storage of the sweep cannot be used: {reason}") from None
    if spec is not None and stored != spec:
        raise ConfigError(f"the sweep {name!r} was started with other settings; take another name, or no settings")
    return study, stored


def requeue(study: Study, trial: FrozenTrial) -> None:
    """Queue a trial again whose worker has stopped or gone, or whose run has failed, with its settings and runs."""
    from optuna.trial import TrialState, create_trial

    study.add_trial(
        create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={name: value for name, value in trial.user_attrs.items() if name != "failed"},
            # A cell of a grid, of which the worker may have read nothing yet; else it would be drawn.
            system_attrs={name: value for name, value in trial.system_attrs.items() if name == "fixed_params"},
        )
    )


def try_again(study: Study) -> int:
    """Queue again what has failed, since its cause may be gone (a disk that was full, data that were not there).

    Returns:
        How many settings.
    """
    failed = [t for t in slots(study).values() if t.state.name == "FAIL" and "failed" in t.user_attrs]
    for trial in failed:
        requeue(study, trial)
    return len(failed)


def abandoned(study: Study) -> list[FrozenTrial]:
    """Trials that ended because their worker had gone, and that nobody has queued again."""
    return [trial for trial in slots(study).values() if is_abandoned(trial)]


def is_abandoned(trial: FrozenTrial) -> bool:
    """Whether a trial ended because its worker had gone, not because a run failed."""
    return trial.state.name == "FAIL" and "failed" not in trial.user_attrs


def slots(study: Study) -> dict[int, FrozenTrial]:
    """The newest trial of each setting of a sweep, by its number."""
    newest: dict[int, FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
        if "slot" in trial.user_attrs:
            kept = newest.get(trial.user_attrs["slot"])
            # What has an end counts, should a trial have been queued again although its worker was only slow.
            if kept is None or not kept.state.is_finished() or kept.state.name == "FAIL":
                newest[trial.user_attrs["slot"]] = trial
    return newest


def quiet_optuna() -> Any:
    """Optuna without its log on stderr and its notes on functions that may change."""
    optuna = extra("optuna", "sweep")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def _make(optuna: Any, storage: Any, name: str, spec: Spec, cells: Sequence[Mapping[str, Choice]]) -> None:
    """Make the study and queue its trials, `cells` where it is a grid; of several who try at once one does."""
    try:
        direction = "maximize" if spec.higher else "minimize"
        study = optuna.create_study(study_name=name, storage=storage, direction=direction)
    except optuna.exceptions.DuplicatedStudyError:
        return
    for slot, cell in enumerate(cells or [{} for _ in range(spec.trials)]):
        study.enqueue_trial(dict(cell), user_attrs={"slot": slot})
    study.set_user_attr(_SPEC, spec.to_dict())  # last: who finds it finds all trials


def _stored(study: Study) -> dict[str, Any]:
    """What a study is to try; waits for the process that is making it."""
    deadline = time.monotonic() + 30
    while _SPEC not in study.user_attrs:
        if time.monotonic() > deadline:
            raise ConfigError(f"the sweep {study.study_name!r} is half made; take another name")
        time.sleep(0.2)
    stored: dict[str, Any] = study.user_attrs[_SPEC]
    return stored
