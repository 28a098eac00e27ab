"""Execution of one run in the calling thread: data, training, checkpoints, maps, out-of-distribution references."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..config import RunConfig
from ..data import follow_data, load_dataset
from ..data.dataset import Dataset, Split
from ..data.relations.same_items import check_same_items, split_digests
from ..errors import ClusterError, CpcError, RunError, StorageError
from ..evaluation.metrics import Encoded, encode, geometry_metrics, queue_drift
from ..maps.snapshots import SnapshotRecorder
from ..maps.stored import check_mappable, save_maps
from ..storage.artifacts import save_ood_reference, where_data_are
from ..storage.folder import RunFolder
from ..storage.info import Status
from ..storage.lock import at_work
from ..terms import Modality
from ..training.control import Control
from ..training.records import StepRecord
from ..training.trainer import Trainer
from .device import enough_memory, fabric_on, lower_priority, pick_precision, torch_settings
from .event_files import EventFiles
from .ranks.team import Team
from .weight_snapshots import WeightSnapshots, load_state


@dataclass(frozen=True)
class Phase:
    """Work of a run outside of training steps, such as "loading data"; `share` is how much is done, 0 to 1."""

    text: str
    share: float


@dataclass(frozen=True)
class State:
    """Status of a run with its reason.

    Attributes:
        unexpected: whether an error of the engine itself ended it (traceback in log.jsonl).
        refused: whether nothing was done, because another process is at work on it.
    """

    status: Status
    message: str = ""
    unexpected: bool = False
    refused: bool = False


class _Diverged(Exception):
    """The network no longer gives finite numbers; the message says what stopped being finite."""


Record = dict[str, Any]  # a StepRecord as plain values: one line of metrics.jsonl
Observer = Callable[[Record | Phase | State], None]


def execute(
    folder: RunFolder,
    control: Control,
    observe: Observer = lambda observed: None,
    resume: bool = False,
    threads: int = 0,
    team: Team | None = None,
) -> State:
    """Train a run, compute its maps, and keep its folder up to date.

    Args:
        folder: of the run, as `RunFolder.create` makes it.
        control: for pausing, stopping, and changing settings from other threads.
        observe: called in this thread with every record, phase, and change of state.
        resume: continue from the run's checkpoint, or from the first step if there is none.
        threads: CPU threads of a run whose settings leave them open; 0: all usable cores.
        team: other processes that take part in its steps; nobody if not given.

    Returns:
        The state in which the run ended. No exception is raised: a failure is returned as a state, even if it cannot
        be written to the folder because the disk is full. Where another process is at work on the run, its files are
        left alone.
    """
    try:
        with at_work(folder.path, control.stop):
            return _execute(folder, control, observe, resume, threads, team or Team())
    except (RunError, StorageError) as error:
        state = State("failed", str(error), refused=isinstance(error, RunError))
        observe(state)
        return state


def _execute(folder: RunFolder, control: Control, observe: Observer, resume: bool, threads: int, team: Team) -> State:
    """Train the run whose lock is held; only the lock raises."""
    try:
        config = folder.config()
        with torch_settings(config.run, threads), team, enough_memory(config):
            state = _Execution(folder, control, observe, team).run(resume)
    except ClusterError as error:
        state = State("interrupted", f"{error}; the run can be resumed")
    except CpcError as error:
        state = State("failed", str(error))
    except Exception as error:  # whatever fails, a background run must end as "failed" with a reason
        reason = str(error).partition("\n")[0]
        id = folder.log_error(error)
        state = State("failed", f"unexpected {type(error).__name__}: {reason} ({id} in log.jsonl)", unexpected=True)
    if state.status == "stopped" and control.lost:  # written before the next worker can begin
        state = State("interrupted", control.lost)
    try:
        folder.update(status=state.status, message=state.message)
    except CpcError as error:
        state = state if state.status == "failed" else State("failed", str(error))
    folder.log(f"{state.status}{': ' + state.message if state.message else ''}")
    observe(state)
    return state


class _Execution:
    """State of one call of `execute`."""

    def __init__(self, folder: RunFolder, control: Control, observe: Observer, team: Team) -> None:
        self.folder, self.control, self.observe, self.team = folder, control, observe, team
        self.config = folder.config()
        self.loss: float | None = None  # of the newest record
        self.event_files: EventFiles | None = None
        # Changes of settings to repeat in a resumed run, by the number of steps done before each.
        self.due: dict[int, dict[str, Any]] = {}

    def run(self, resume: bool) -> State:
        lower_priority()
        self._status("running")
        trainer, made_from = self._trainer(resume)
        if resume:
            self._restore(trainer)
        self.team.begin(trainer, made_from)
        if self.config.run.tensorboard:
            self.event_files = EventFiles(self.folder, trainer.steps_done)
        try:
            status = self._steps(trainer)
        except _Diverged as error:
            self._keep_finite_weights(trainer)
            return State("diverged", str(error))
        finally:
            if self.event_files is not None:
                self.event_files.close()
        self.team.dismiss()
        if status != "stopped":  # a stopped run may be resumed and add further snapshots
            self.snapshots.finish()
        self.observe(Phase("drawing the map", 0.0))
        save_maps(self.folder, trainer.model, trainer.data, self.config)
        self.observe(Phase("fitting the out-of-distribution score", 0.5))
        save_ood_reference(self.folder, trainer.model, trainer.data)
        return State(status)

    def _restore(self, trainer: Trainer) -> None:
        """Load the checkpoint, and schedule the changes of settings that came after it."""
        changes = [event for event in self.folder.events() if event.get("kind") == "change"]
        if self.folder.has_tensors("checkpoint"):
            state = load_state(self.folder)
            try:
                done = int(state["progress"][0])
                # Before the state is loaded, because a change of τ would reset the learned value.
                self._change(trainer, {e["setting"]: e["value"] for e in changes if e["step"] < done})
                with enough_memory(self.config):
                    if not trainer.load(state):
                        self.folder.log("from here on other random numbers: it trained on another kind of device")
            except (KeyError, IndexError, ValueError, RuntimeError) as error:
                reason = str(error).partition("\n")[0]
                raise RunError(f"{self.folder.id}: checkpoint.safetensors does not fit this run ({reason})") from None
        for event in self.folder.due_changes(trainer.steps_done):
            self.due.setdefault(event["step"], {})[event["setting"]] = event["value"]
        records = self.folder.forget_after(trainer.steps_done)
        self.snapshots.go_on(trainer.steps_done)
        self.weight_snapshots.go_on(trainer.steps_done)
        self.loss = records[-1]["loss"] if records else None
        self._event(trainer, "resume")

    def _trainer(self, resume: bool) -> tuple[Trainer, RunConfig]:
        """Load the data, create the trainer, and write the facts about both to run.json.

        Returns:
            The trainer, and the settings that other ranks make theirs from, which say where the data are now.

        Raises:
            DataError: the data cannot be used, or they are not those that a resumed run has learned from so far.
        """
        device = self.team.device(self.config.run.device)
        own = {path: self.config.flat()[path] for path in ("data.path", "data.image_path")}
        settled = where_data_are(self.folder, self.config, follow_data).replace(own)
        if settled != self.config:
            values = {path: value for path, (value, _) in settled.differences(self.config).items()}
            self.folder.log(f"from the data: {', '.join(f'{path} = {value}' for path, value in values.items())}")
            self.folder.settle(values)
            self.config = settled

        def load(where: RunConfig) -> tuple[Dataset, RunConfig]:
            data = load_dataset(where, device, lambda text, share: self.observe(Phase(text, share)))
            if resume and self.folder.has_tensors("checkpoint"):
                check_same_items(self.folder.id, self.folder.facts(), data)
            return data, where

        data, where = where_data_are(self.folder, self.config, load)
        check_mappable(data)
        for line in data.skipped:
            self.folder.log(f"skipped {line}")
        for line in data.remarks:
            self.folder.log(line)
        precision = pick_precision(self.config.run.precision, device)
        devices = self.team.describe(device)
        self.folder.log(f"training on {devices}, {precision}")
        fabric = fabric_on(device, precision)
        trainer = Trainer(self.config, data, fabric, ranks=self.team.ranks)
        self.snapshots = SnapshotRecorder(self.folder, data, self.config)
        self.weight_snapshots = WeightSnapshots(self.folder, self.config)
        self.folder.update(
            device=devices,
            parameters=trainer.model.parameter_count,
            data=data_facts(data),
            steps=self.config.optimizer.steps,
        )
        return trainer, where

    def _steps(self, trainer: Trainer) -> Status:
        """Train the remaining steps; end early on a stop request.

        Raises:
            _Diverged: a loss, a gradient, a weight, or what the network makes of held-out items is not finite.
        """
        total = self.config.optimizer.steps
        self._keep_contexts(trainer)
        while trainer.steps_done < total and not self.control.stopping:
            if self.control.paused:
                self._pause(trainer)
                continue
            self._change(trainer, self.due.pop(trainer.steps_done, {}) | self.control.take_changes(), record=True)
            done = trainer.steps_done + 1
            measured = done == total or (self.config.evaluation.every > 0 and done % self.config.evaluation.every == 0)
            recorded = measured or done == 1 or done % self.config.run.record_every == 0
            record = self._step(trainer, recorded, measured)
            if self.weight_snapshots.wants(done) and _is_finite(trainer):
                self.weight_snapshots.add(done, trainer.state())
            if record is not None:
                self._record(record.to_dict())
                if not (math.isfinite(record.loss) and math.isfinite(record.gradient_norm)):
                    raise _Diverged("the loss or a gradient stopped being a finite number")
            if done % self.config.run.checkpoint_every == 0 and done < total:
                self._checkpoint(trainer)
        self._keep_contexts(trainer)
        self._checkpoint(trainer)
        return "finished" if trainer.steps_done >= total else "stopped"

    def _step(self, trainer: Trainer, recorded: bool, measured: bool) -> StepRecord | None:
        """Take one step; where another rank goes meanwhile, keep a checkpoint of the state before it.

        Raises:
            ClusterError: another rank has gone.
        """
        random = trainer.generator.get_state()
        try:
            self.team.step(recorded)
            return trainer.step(recorded, self._geometry if measured else None)
        except ClusterError:  # ranks exchange something before the step changes the weights, and never after
            trainer.generator.set_state(random)
            self._checkpoint(trainer)
            raise

    def _geometry(self, trainer: Trainer) -> dict[str, float]:
        """Compute the geometry metrics on validation items, and take a snapshot if one is due."""
        validation = trainer.data.validation.take(self.snapshots.measured_rows)
        encodings = _finite_encodings(trainer, validation)
        metrics = geometry_metrics(trainer.model, validation, self.config, encodings)
        if self.snapshots.wants(trainer.steps_done):
            self.snapshots.add(trainer.steps_done, encodings)
        for modality in trainer.model.modalities:
            drift = queue_drift(trainer, modality)
            if drift is not None:
                metrics[f"{modality}.queue_drift" if len(trainer.model.modalities) > 1 else "queue_drift"] = drift
        return metrics

    def _keep_contexts(self, trainer: Trainer) -> None:
        """Take a snapshot at the first or last step of this execution if none was taken there."""
        if self.snapshots.newest != trainer.steps_done:
            self.snapshots.add(trainer.steps_done, _finite_encodings(trainer, self.snapshots.items))

    def _record(self, record: Record) -> None:
        self.folder.append_record(record)
        self.loss = record["loss"]
        if self.event_files is not None:
            self.event_files.add(record)
        if record["step"] == 1:
            self.folder.update(loss_first=self.loss)
        self.observe(record)

    def _pause(self, trainer: Trainer) -> None:
        """Write a checkpoint and wait until the run is resumed or stopped."""
        self._checkpoint(trainer)
        self._event(trainer, "pause")
        self._status("paused")
        while self.control.paused and not self.control.stopping:
            self.control.wait(1.0)
        self._event(trainer, "continue")
        self._status("running")

    def _change(self, trainer: Trainer, changes: dict[str, Any], record: bool = False) -> None:
        """Apply changed settings, {"section.setting": value}; with `record`, also append them to events.jsonl."""
        if not changes:
            return
        self.config = self.config.replace(changes)
        trainer.change(self.config)
        sections = self.config.to_dict()
        for path in changes if record else ():
            section, _, name = path.partition(".")
            value = sections[section][name]
            self.folder.append_event({"step": trainer.steps_done, "kind": "change", "setting": path, "value": value})
        if record:
            self.team.change(self.config)

    def _event(self, trainer: Trainer, kind: str) -> None:
        self.folder.append_event({"step": trainer.steps_done, "kind": kind})
        self.folder.log(f"{kind} at step {trainer.steps_done}")

    def _status(self, status: Status) -> None:
        self.folder.update(status=status, message="")
        self.observe(State(status))

    def _checkpoint(self, trainer: Trainer) -> None:
        if not _is_finite(trainer):
            raise _Diverged("the weights stopped being finite numbers")
        self.folder.save_tensors("checkpoint", trainer.state())
        self.folder.save_tensors("weights", trainer.model.weights())
        self.folder.update(steps_done=trainer.steps_done, seconds=trainer.seconds, loss_last=self.loss)

    def _keep_finite_weights(self, trainer: Trainer) -> None:
        """Keep the last weights of a diverged run that give finite numbers.

        A step whose loss or gradient is not finite does not change the weights. But the step before may have made them
        too large, and on a GPU it is noticed only at recorded steps. The weights of the last checkpoint stay then.
        """
        try:
            _finite_encodings(trainer, self.snapshots.items)
        except _Diverged:
            return
        if _is_finite(trainer):
            self.folder.save_tensors("weights", trainer.model.weights())
            self.folder.update(steps_done=trainer.steps_done - 1, seconds=trainer.seconds)


def _is_finite(trainer: Trainer) -> bool:
    return all(bool(parameter.isfinite().all()) for parameter in trainer.model.parameters())


def _finite_encodings(trainer: Trainer, items: Split) -> dict[Modality, Encoded]:
    """Encode items.

    Raises:
        _Diverged: what the network makes of them is not finite.
    """
    encodings = encode(trainer.model, items)
    values = [tensor for e in encodings.values() for tensor in (e.contexts, e.encoding.latents)]
    # Their squares, since metrics, maps, and typicality sum these.
    if not all(bool(tensor.float().square().sum().isfinite()) for tensor in values):
        raise _Diverged("what the network makes of held-out items stopped being finite numbers")
    return encodings


def data_facts(data: Dataset) -> dict[str, object]:
    """Return the facts about a data set for run.json: to decode new items alike, and to describe the data."""
    return {
        "name": data.name,
        "classes": list(data.classes),
        "modalities": list(data.modalities),
        "sample_rate": data.sample_rate,
        "recording_length": 0 if data.train.audio is None else data.train.audio.shape[1],  # samples
        "image_side": data.image_side,
        "items": {name: len(split) for name, split in data.splits()},
        "digests": split_digests(data),
        "skipped": len(data.skipped),
        "skipped_files": list(data.skipped[:50]),
        "remarks": list(data.remarks),
    }
