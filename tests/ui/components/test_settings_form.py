"""Labels, help and texts of the form of settings."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

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


def _form() -> None:
    from cpc_engine import RunConfig
    from cpc_engine.config import all_settings
    from ui.components.settings_form import draw_setting

    changes = {"sampler.mode": "reference", "image.encoder": "residual"}
    for setting in all_settings():
        if setting.kind == "choice":
            draw_setting(setting, RunConfig(), changes, "form", lambda: None)


def test_the_form_shows_words_and_keeps_values() -> None:
    test = AppTest.from_function(_form).run()
    assert not test.exception
    masks = test.selectbox(key="form:sampler.mode")
    assert masks.options == ["yes", "no, as in Algorithm 2"]
    assert masks.value == "reference"
    shown = [option for one in test.selectbox for option in one.options] + [one.label for one in test.button]
    assert not [text for text in shown if "_" in text]
    assert any("back to yes" in one.label for one in test.button)
