"""Labels, help and texts of the form of settings."""

from __future__ import annotations

from cpc_engine import PRESETS, RunConfig
from cpc_engine.settings import describe
from ui.components.settings_form import as_text, help_of, label_of


def test_help_says_what_is_usual() -> None:
    setting = next(setting for setting in describe(RunConfig) if setting.path == "optimizer.batch_size")
    assert "**Range** 2 to 4,096, in the presets 64 to 256" in help_of(setting, 64)


def test_every_setting_has_a_label_a_help_and_a_text() -> None:
    config = PRESETS["tones"].config()
    for setting in describe(RunConfig):
        section, _, name = setting.path.partition(".")
        value = getattr(getattr(config, section), name)
        assert label_of(setting)
        assert setting.path in help_of(setting, value)
        text = as_text(value)
        if setting.kind != "bool":
            assert getattr(getattr(config.replace({setting.path: text}), section), name) == value
