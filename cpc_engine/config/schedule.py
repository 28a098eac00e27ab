"""How long and how fast a run learns, what is evaluated, and where it runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..settings import Section, setting


class OptimizerConfig(Section):
    """AdamW with warm-up and cosine decay."""

    steps: int = setting(
        400, "How many steps the optimizer takes.", unit="steps", ge=1, le=1_000_000, label="Steps", speed=False
    )
    batch_size: int = setting(64, "Items per step.", unit="items", ge=2, le=4096, low="few in-batch negatives")
    learning_rate: float = setting(
        1e-3, "Highest learning rate.", ge=1e-8, le=1, live=True, low="slow", high="diverges or collapses", speed=False
    )
    weight_decay: float = setting(1e-4, "AdamW's decoupled weight decay.", ge=0, le=1, speed=False)
    warmup_steps: int = setting(
        20, "Steps of linear warm-up.", unit="steps", ge=0, le=100_000, label="Warm-up steps", speed=False
    )
    final_rate: float = setting(
        0.05,
        "Learning rate at the end, as a share of the highest.",
        ge=0,
        le=1,
        label="Final rate (share of the highest)",
        speed=False,
    )
    clip_norm: float = setting(
        1.0,
        "Largest norm of the gradient (0: not clipped).",
        ge=0,
        le=1000,
        live=True,
        label="Gradient clip norm",
        speed=False,
    )


class EvaluationConfig(Section):
    """What is measured while a run goes on and after it."""

    every: int = setting(
        50,
        "Steps between two evaluations of the geometry (0: only at the end).",
        unit="steps",
        ge=0,
        le=1_000_000,
        label="Evaluate every",
        speed=False,
    )
    items: int = setting(
        256,
        "Held-out items used for those evaluations.",
        unit="items",
        ge=16,
        le=100_000,
        label="Evaluation items",
        speed=False,
    )
    map_items: int = setting(
        600, "Items drawn on the map.", unit="items", ge=32, le=50_000, label="Map items", speed=False
    )
    perplexity: float = setting(
        30.0,
        "t-SNE's perplexity: about how many neighbors each point keeps.",
        ge=2,
        le=200,
        label="Perplexity (t-SNE)",
        speed=False,
    )
    neighbors: int = setting(15, "Size of UMAP's neighborhoods.", ge=2, le=200, label="Neighbors (UMAP)", speed=False)
    probe_items: int = setting(
        4000,
        "Training items that the linear probe sees at most.",
        unit="items",
        ge=32,
        le=1_000_000,
        label="Probe training items",
        speed=False,
    )
    strengths: tuple[Annotated[float, Field(ge=1e-6, le=1e6)], ...] = setting(
        (0.001, 0.01, 0.1, 1.0),
        "Inverse regularization strengths C to choose from on validation.",
        min_length=1,
        max_length=32,
        label="Probe C grid",
        speed=False,
    )


class RunSettings(Section):
    """Where and how a run runs."""

    name: str = setting("", "A name to recognize the run by.", max_length=120, label="Name", role="label", speed=False)
    note: str = setting(
        "", "Anything worth remembering about this run.", max_length=4000, label="Note", role="label", speed=False
    )
    seed: int = setting(
        0,
        "Seed of weights, data order, augmentation and noise.",
        ge=0,
        le=2**31 - 1,
        label="Seed",
        role="seed",
        speed=False,
    )
    device: str = setting(
        "auto",
        "auto, cpu, cuda or cuda:N.",
        pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$",
        label="Device",
        role="machine",
        speed=False,
    )
    precision: Literal["auto", "32-true", "bf16-mixed"] = setting(
        "auto",
        "Number format of the networks (logits stay fp32); auto: bf16 where the device computes in it, else fp32.",
        words={"auto": "automatic", "32-true": "fp32", "bf16-mixed": "bf16"},
    )
    record_every: int = setting(
        1, "Steps between two recorded steps.", unit="steps", ge=1, le=10_000, label="Record every"
    )
    checkpoint_every: int = setting(
        100, "Steps between two checkpoints.", unit="steps", ge=1, le=1_000_000, label="Checkpoint every", speed=False
    )
    snapshots: int = setting(
        4,
        "Small copies of the weights kept from earlier steps, to look at the negatives there (0: none).",
        ge=0,
        le=10,
        label="Weight snapshots",
        role="machine",
        speed=False,
    )
    threads: int = setting(
        0, "CPU threads for tensor work (0: all).", ge=0, le=256, label="CPU threads", role="machine"
    )
    tensorboard: bool = setting(
        False,
        "Also write event files for TensorBoard while it trains, to tensorboard/ in the run's folder.",
        label="TensorBoard",
        role="machine",
        speed=False,
    )
