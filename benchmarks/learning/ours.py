"""Our own training as a `Learner`: any preset, the reference recipe among them."""

from __future__ import annotations

from torch import Tensor

from cpc_engine.config import RunConfig
from cpc_engine.data.dataset import Dataset, Split
from cpc_engine.evaluation.embed import embed
from cpc_engine.execution.device import pick_precision, precision_plugin
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.trainer import Trainer


class Ours:
    """The engine's trainer, with the features that an evaluation computes of a run."""

    def __init__(self, config: RunConfig, data: Dataset) -> None:
        precision = pick_precision(config.run.precision, "cpu")
        fabric = Fabric(accelerator="cpu", devices=1, plugins=precision_plugin(precision, "cpu"))
        self.trainer = Trainer(config, data, fabric)

    @property
    def parameters(self) -> int:
        return self.trainer.model.parameter_count

    @property
    def rate(self) -> float:
        return self.trainer.optimizer.param_groups[0]["lr"] / self.trainer.config.optimizer.learning_rate

    def plan(self, steps: int) -> None:
        self.trainer.change(self.trainer.config.replace({"optimizer.steps": max(1, steps)}))

    def step(self) -> None:
        self.trainer.step(record=False)

    def features(self, split: Split) -> dict[str, Tensor]:
        (found,) = embed(self.trainer.model, split).values()
        return {name: value for name, value in vars(found).items() if value is not None}
