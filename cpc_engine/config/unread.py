"""Settings that a run with a given configuration never reads: forms show them in gray, and sweeps refuse them."""

from __future__ import annotations

from collections.abc import Iterable

from ..datasets import DATASETS, own_settings
from ..settings import describe
from ..sources import SOURCES
from ..terms import MODALITIES
from .run_config import RunConfig, all_settings
from .words import value_text

# The momentum encoder is a setting of the queue, and makes the positives without a queue, too.
_ALONE = {"sampler.key_momentum"}
_TEMPERATURE = {
    "loss.temperature",
    "loss.learnable_temperature",
    "loss.temperature_min",
    "loss.temperature_max",
}
# Settings that only some encoders have, by modality and encoder.
_OF_ENCODERS: dict[str, dict[str, set[str]]] = {
    "audio": {"patches": {"audio.frames_per_latent"}, "residual": {"audio.directions"}},
    "image": {"patches": {"image.depth"}, "residual": {"image.directions", "image.view_share"}},
}


def unread(config: RunConfig) -> frozenset[str]:
    """Return the settings that have no effect beside the others of a configuration.

    These are the settings of sources and loss terms that are switched off, of encoders that are not used, and of
    modalities and data sets that the run does not have. A switch itself is never among them where it would work.

    Example:
        >>> sorted(unread(RunConfig()) & {"sampler.sigma", "sampler.perturbed", "loss.pair_temperature"})
        ['loss.pair_temperature', 'sampler.sigma']
        >>> "sampler.sigma" in unread(RunConfig().replace({"sampler.perturbed": True}))
        False
    """
    return frozenset(why_unread(config))


def why_unread(config: RunConfig) -> dict[str, str]:
    """Return why each setting of `unread` has no effect.

    Example:
        >>> why_unread(RunConfig())["sampler.sigma"]
        'sampler.perturbed is off'
    """
    values, spec = config.flat(), DATASETS[config.data.dataset]
    found: dict[str, str] = {}

    def add(paths: Iterable[str], why: str) -> None:
        found.update(dict.fromkeys(paths, why))

    def says(*paths: str) -> str:
        return " and ".join(f"{path} is {value_text(values[path])}" for path in paths)

    one_modality = "the data have one modality"
    add(own_settings() - set(spec.own_settings), "the data set does not read it")
    off = {
        source.name
        for source in SOURCES.values()
        if source.off and all(values[path] == value for path, value in source.off.items())
    }
    for source in SOURCES.values():
        own = {setting.path for setting in describe(source.settings, "sampler.")} if source.settings else set()
        if source.name in off:
            add(own - {*source.off, *_ALONE}, says(*source.off))
        if source.other_modality and len(spec.modalities) < 2:
            add(own, one_modality)
    # Latents of a momentum encoder have no gradient that could be stopped.
    if config.sampler.key_momentum > 0:
        add({"sampler.detach_synthetic"}, f"{says('sampler.key_momentum')}, and its latents have no gradient to stop")
    elif off >= {"perturbed", "shuffled"}:
        add({"sampler.detach_synthetic"}, says("sampler.perturbed", "sampler.shuffled"))
    # Mixtures are made of masked parents, and whole items are masked, in every mode.
    if config.sampler.mode == "reference" and "mixed" in off and config.loss.item_weight == 0:
        add({"sampler.same_item", "sampler.same_class"}, says("sampler.mode"))
    if all(values[f"{modality}.encoder"] == "residual" for modality in spec.modalities):
        add({"context.batch_norm"}, says(*(f"{modality}.encoder" for modality in spec.modalities)))
    if not config.loss.learnable_temperature:
        add({"loss.temperature_min", "loss.temperature_max"}, says("loss.learnable_temperature"))
    # The item-level and the pair term have a τ of their own. Of a term without weight τ scales recorded numbers alone.
    if config.loss.prediction_weight == 0 and config.loss.global_weight == 0:
        add(_TEMPERATURE, says("loss.prediction_weight", "loss.global_weight"))
    if len(spec.modalities) < 2:
        add({"loss.pair_weight", "loss.pair_temperature", "loss.pair_positives"}, one_modality)
    elif config.loss.pair_weight == 0:
        add({"loss.pair_temperature", "loss.pair_positives"}, says("loss.pair_weight"))
    if config.loss.item_weight == 0:
        add({"loss.item_temperature"}, says("loss.item_weight"))
    if not config.loss.compares_items:
        add({"context.item_dim"}, "no term of the loss compares two views of an item")
    for section in MODALITIES:
        if section not in spec.modalities:
            paths = {setting.path for setting in all_settings() if setting.path.startswith(f"{section}.")}
            add(paths, f"the data have no {section}")
        else:
            of_encoders = _OF_ENCODERS[section]
            other = set().union(*of_encoders.values()) - of_encoders.get(values[f"{section}.encoder"], set())
            add(other, says(f"{section}.encoder"))
    if config.audio.noise == 0 and "audio" in spec.modalities:
        add({"audio.noise_share"}, says("audio.noise"))
    if config.context.horizon_seconds is not None and spec.modalities == ("audio",):
        add({"context.horizons"}, "context.horizon_seconds is set")
    if "data.split" in spec.own_settings and config.data.split == "official":
        add({"data.held_out"}, says("data.split"))
    return found
