"""One run from its first step (or its checkpoint) to its map, in the calling thread."""

from __future__ import annotations

import math
import os
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..data import load_dataset
from ..data.items import Dataset
from ..errors import CpcError, RunError
from ..evaluation.drift import queue_drift
from ..evaluation.measures import encode, measure
from ..training.control import Control
from ..training.records import StepRecord
from ..training.trainer import Trainer
from .device import pick_device, pick_precision, usable_cores
from .evolution import EvolutionRecorder
from .folder import RunFolder, Status
from .frozen import save_typicality
from .map import check_mappable, save_maps


@dataclass(frozen=True)
class Phase:
    """What a run is doing when it is not stepping: "loading data", "drawing the map", …; share 0…1."""

    text: str
    share: float


@dataclass(frozen=True)
class State:
    """A run's status and why; `unexpected` marks a failure that is the engine's own fault (log.txt has the trace)."""

    status: Status
    message: str = ""
    unexpected: bool = False


Observer = Callable[[StepRecord | Phase | State], None]


def execute(folder: RunFolder, control: Control, observe: Observer = lambda seen: None, resume: bool = False) -> State:
    """Train a run and draw its map; the folder says all along what happened.

    Args:
        observe: called with every record, phase and change of state, in this thread.
        resume: go on from the run's checkpoint, or from the first step where it never made one.

    Returns:
        The state it ended in. Nothing is raised: a failure is a state too, known even where the disk cannot take it.
    """
    try:
        state = _Execution(folder, control, observe).run(resume)
    except CpcError as error:
        state = State("failed", str(error))
    except Exception as error:  # a run in the background must end as `failed` with its reason, whatever broke
        reason = str(error).partition("\n")[0]
        state = State("failed", f"unexpected {type(error).__name__}: {reason} (more in log.txt)", unexpected=True)
        folder.log(traceback.format_exc())
    try:
        folder.update(status=state.status, message=state.message)
    except CpcError as error:
        state = state if state.status == "failed" else State("failed", str(error))
    folder.log(f"{state.status}{': ' + state.message if state.message else ''}")
    observe(state)
    return state


class _Execution:
    def __init__(self, folder: RunFolder, control: Control, observe: Observer) -> None:
        self.folder, self.control, self.observe = folder, control, observe
        self.config = folder.config()
        self.loss: float | None = None  # of the newest record
        self.due: dict[int, dict[str, Any]] = {}  # changed knobs of an interrupted run, by the step they came after

    def run(self, resume: bool) -> State:
        self._priority()
        self._status("running")
        trainer = self._trainer()
        if resume:
            self._go_on(trainer)
        status = self._steps(trainer)
        if status != "stopped":  # that one may go on
            self.evolution.finish()
        self.observe(Phase("drawing the map", 0.0))
        save_maps(self.folder, trainer.model, trainer.data, self.config)
        self.observe(Phase("measuring what is typical", 0.5))
        save_typicality(self.folder, trainer.model, trainer.data)
        return State(status, "the loss or a gradient stopped being a finite number" if status == "diverged" else "")

    def _go_on(self, trainer: Trainer) -> None:
        """Take the run up where its checkpoint left it; knobs that were changed after that change again in time."""
        changes = [event for event in self.folder.events() if event.get("kind") == "change"]
        if self.folder.has_tensors("checkpoint"):
            state = self.folder.tensors("checkpoint")
            try:
                done = int(state["progress"][0])
                # Before the state is loaded: a changed τ would set back a learned one.
                self._change(trainer, {e["knob"]: e["value"] for e in changes if e["step"] < done})
                trainer.load(state)
            except (KeyError, IndexError, ValueError, RuntimeError) as error:
                reason = str(error).partition("\n")[0]
                raise RunError(f"{self.folder.id}: checkpoint.safetensors does not fit this run ({reason})") from None
        for event in changes:
            if event["step"] >= trainer.steps_done:
                self.due.setdefault(event["step"], {})[event["knob"]] = event["value"]
        self.folder.forget_after(trainer.steps_done)
        self.evolution.go_on(trainer.steps_done)
        self.loss = next((record["loss"] for record in self.folder.records()[-1:]), None)
        self._event(trainer, "resume")

    def _priority(self) -> None:
        """All cores, but after the page that shows the run: below it in priority where the system allows."""
        import torch

        torch.set_num_threads(self.config.run.threads or usable_cores())
        if sys.platform == "linux" and threading.current_thread() is not threading.main_thread():
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)

    def _trainer(self) -> Trainer:
        import torch
        from lightning_fabric import Fabric

        device = pick_device(self.config.run.device)
        data = load_dataset(self.config, device, lambda text, share: self.observe(Phase(text, share)))
        check_mappable(data)
        for line in data.skipped:
            self.folder.log(f"skipped {line}")
        kind, _, index = device.partition(":")
        precision = pick_precision(self.config.run.precision, device)
        if kind == "cuda":  # the loss's fp32 products: exact, or with TF32 inputs where the networks run in bf16 anyway
            torch.set_float32_matmul_precision("high" if precision == "bf16-mixed" else "highest")
        self.folder.log(f"training on {device}, {precision}")
        fabric = Fabric(accelerator=kind, devices=[int(index)] if index else 1, precision=precision)
        trainer = Trainer(self.config, data, fabric)
        self.evolution = EvolutionRecorder(self.folder, data, self.config)
        self.folder.update(
            device=device,
            parameters=trainer.model.parameter_count,
            data=data_facts(data),
            steps=self.config.optimiser.steps,
        )
        return trainer

    def _steps(self, trainer: Trainer) -> Status:
        """All steps that are left; ends early when told to, or when a number is no longer finite."""
        total = self.config.optimiser.steps
        self._keep_contexts(trainer)
        while trainer.steps_done < total and not self.control.stopping:
            if self.control.paused:
                self._pause(trainer)
                continue
            self._change(trainer, self.due.pop(trainer.steps_done, {}) | self.control.take_changes(), record=True)
            done = trainer.steps_done + 1
            measured = done == total or (self.config.evaluation.every > 0 and done % self.config.evaluation.every == 0)
            record = trainer.step(measured or done == 1 or done % self.config.run.record_every == 0)
            if record is None:
                continue
            finite = math.isfinite(record.loss) and math.isfinite(record.gradient_norm)
            if not measured:
                record = replace(record, hard=None)  # too long for every line of metrics.jsonl
            elif finite:
                record = replace(record, geometry=self._geometry(trainer))
            self._record(record)
            if not finite:
                self._keep_good_weights(trainer)
                return "diverged"
            if done % self.config.run.checkpoint_every == 0 and done < total:
                self._checkpoint(trainer)
        self._keep_contexts(trainer)
        self._checkpoint(trainer)
        return "finished" if trainer.steps_done >= total else "stopped"

    def _geometry(self, trainer: Trainer) -> dict[str, float]:
        validation = trainer.data.validation.take(self.evolution.measured_rows)
        encodings = encode(trainer.model, validation)
        found = measure(trainer.model, validation, self.config, encodings)
        if self.evolution.wants(trainer.steps_done):
            self.evolution.add(trainer.steps_done, encodings)
        for modality in trainer.model.modalities:
            drift = queue_drift(trainer, modality)
            if drift is not None:
                found[f"{modality}.queue_drift" if len(trainer.model.modalities) > 1 else "queue_drift"] = drift
        return found

    def _keep_contexts(self, trainer: Trainer) -> None:
        """Where the held-out items lie at the run's ends, which may not be measured steps."""
        if self.evolution.newest != trainer.steps_done:
            self.evolution.add(trainer.steps_done, encode(trainer.model, self.evolution.items))

    def _record(self, record: StepRecord) -> None:
        values = record.to_dict()
        self.folder.append_record(values)
        self.loss = values["loss"]
        if record.step == 1:
            self.folder.update(loss_first=values["loss"])
        self.observe(record)

    def _pause(self, trainer: Trainer) -> None:
        self._checkpoint(trainer)
        self._event(trainer, "pause")
        self._status("paused")
        while self.control.paused and not self.control.stopping:
            self.control.wait(1.0)
        self._event(trainer, "continue")
        self._status("running")

    def _change(self, trainer: Trainer, changes: dict[str, Any], record: bool = False) -> None:
        if not changes:
            return
        self.config = self.config.replace(changes)
        trainer.change(self.config)
        sections = self.config.to_dict()
        for path in changes if record else ():
            section, _, name = path.partition(".")
            value = sections[section][name]
            self.folder.append_event({"step": trainer.steps_done, "kind": "change", "knob": path, "value": value})

    def _event(self, trainer: Trainer, kind: str) -> None:
        self.folder.append_event({"step": trainer.steps_done, "kind": kind})
        self.folder.log(f"{kind} at step {trainer.steps_done}")

    def _status(self, status: Status) -> None:
        self.folder.update(status=status, message="")
        self.observe(State(status))

    def _checkpoint(self, trainer: Trainer) -> None:
        self.folder.save_tensors("checkpoint", trainer.state())
        self.folder.save_tensors("weights", trainer.model.weights())
        self.folder.update(steps_done=trainer.steps_done, seconds=trainer.seconds, loss_last=self.loss)

    def _keep_good_weights(self, trainer: Trainer) -> None:
        """The step that broke left weights as they were; where it could not know (GPU), the last checkpoint is good."""
        import torch

        if all(bool(torch.isfinite(p).all()) for p in trainer.model.parameters()):
            self.folder.save_tensors("weights", trainer.model.weights())
        elif self.folder.has_tensors("weights"):
            trainer.model.load_weights(self.folder.tensors("weights"))
        else:
            raise RunError("the run diverged before its first checkpoint: no good weights to keep")
        self.folder.update(steps_done=trainer.steps_done - 1, seconds=trainer.seconds)


def data_facts(data: Dataset) -> dict[str, object]:
    """What a run remembers of its data set: enough to treat a new item alike, and to tell people what it saw."""
    return {
        "name": data.name,
        "classes": list(data.classes),
        "modalities": list(data.modalities),
        "sample_rate": data.sample_rate,
        "image_side": data.image_side,
        "items": {name: len(split) for name, split in data.splits()},
        "skipped": len(data.skipped),
        "skipped_files": list(data.skipped[:50]),
    }
