"""Optuna's storage as sweeps need it: its tables are made once, and of several workers one takes a waiting trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, TrialState

BEAT, GRACE = 5, 20  # s between two signs of life of a worker, and without one until its trial is queued again
MAKING = 20  # s that another process may take to make the tables


def open_storage(url: str, requeue: Callable[[Study, FrozenTrial], None]) -> RDBStorage:
    """Open a storage; make its tables where there are none.

    Optuna does not expect two processes to make them at once: the later one finds them half made, and tries again.

    Args:
        url: see `study.storage_url`. requeue: called with a trial whose worker has gone.

    Raises:
        SQLAlchemyError: it cannot be reached.
    """
    from sqlalchemy.exc import SQLAlchemyError

    # A local file is written by one worker at a time; the others wait for it.
    engine = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    left = MAKING
    while True:
        try:
            return _class()(
                url,
                engine_kwargs=engine,
                heartbeat_interval=BEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=requeue,
            )
        except SQLAlchemyError as error:
            left -= 1
            if not left or not any(words in str(error) for words in ("already exists", "duplicate key", "UNIQUE")):
                raise
            time.sleep(1)


def _class() -> type[RDBStorage]:
    """The class of the storage; made late, since Optuna is imported only where there are sweeps."""
    from optuna.storages import RDBStorage
    from optuna.storages._rdb.models import TrialModel
    from optuna.trial import TrialState as State
    from sqlalchemy import update

    class Storage(RDBStorage):
        def set_trial_state_values(
            self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
        ) -> bool:
            """Set a trial's state; whether it was set. Only one of several who take a waiting trial gets it.

            Optuna reads the state and then writes it, with a lock on the row. SQLite has no such locks, so that two
            workers could both see that the trial waits.
            """
            if state != State.RUNNING:
                return super().set_trial_state_values(trial_id, state, values)
            waits = (TrialModel.trial_id == trial_id) & (TrialModel.state == State.WAITING)
            taking = update(TrialModel).where(waits).values(state=state, datetime_start=datetime.now())
            with self.engine.begin() as connection:
                changed: Any = connection.execute(taking)
                return bool(changed.rowcount)

    return Storage
