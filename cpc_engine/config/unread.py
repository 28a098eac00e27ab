"""Settings that a run with a given configuration never reads: forms show them in gray, and sweeps leave them out."""

from __future__ import annotations

from ..datasets import DATASETS, own_settings
from ..settings import describe
from ..sources import SOURCES
from ..terms import MODALITIES
from .run_config import RunConfig, all_settings

# The momentum encoder is a setting of the queue, and makes the positives without a queue, too.
_ALONE = {"sampler.key_momentum"}
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
    values, spec = config.flat(), DATASETS[config.data.dataset]
    found = own_settings() - set(spec.own_settings)
    off = {
        source.name
        for source in SOURCES.values()
        if source.off and all(values[path] == value for path, value in source.off.items())
    }
    for source in SOURCES.values():
        if source.name in off and source.settings:
            found |= {setting.path for setting in describe(source.settings, "sampler.")} - {*source.off, *_ALONE}
        if source.other_modality and len(spec.modalities) < 2 and source.settings:
            found |= {setting.path for setting in describe(source.settings, "sampler.")}
    # Latents of a momentum encoder have no gradient that could be stopped.
    if off >= {"perturbed", "shuffled"} or config.sampler.key_momentum > 0:
        found |= {"sampler.detach_synthetic"}
    if all(values[f"{modality}.encoder"] == "residual" for modality in spec.modalities):
        found |= {"context.batch_norm"}
    if not config.loss.learnable_temperature:
        found |= {"loss.temperature_min", "loss.temperature_max"}
    if len(spec.modalities) < 2:
        found |= {"loss.pair_weight"}
    if config.loss.pair_weight == 0 or len(spec.modalities) < 2:
        found |= {"loss.pair_temperature", "loss.pair_positives"}
    if config.loss.item_weight == 0:
        found |= {"loss.item_temperature"}
    if not config.loss.compares_items:
        found |= {"context.item_dim"}
    for section in MODALITIES:
        if section not in spec.modalities:
            found |= {setting.path for setting in all_settings() if setting.path.startswith(f"{section}.")}
        else:
            own = _OF_ENCODERS[section]
            found |= set().union(*own.values()) - own.get(values[f"{section}.encoder"], set())
    if config.audio.noise == 0:
        found |= {"audio.noise_share"}
    if config.context.horizon_seconds is not None and spec.modalities == ("audio",):
        found |= {"context.horizons"}
    if "data.split" in spec.own_settings and config.data.split == "official":
        found |= {"data.held_out"}
    return frozenset(found)
