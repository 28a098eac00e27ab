"""A run as a scikit-learn transformer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

import cpc_engine as cpc
from cpc_engine.data import load_dataset
from cpc_engine.errors import ConfigError
from cpc_engine.evaluation.embed import embed
from cpc_engine.storage.folder import RunFolder
from tests.support.exported import trained

pytest_plugins = ["tests.support.recorded"]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(tmp_path_factory.mktemp("runs"), data__dataset="tones_bars", optimizer__steps=1)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(tmp_path_factory.mktemp("runs"), optimizer__steps=1)


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks_pass(sounds: RunFolder) -> None:
    encoder = cpc.Encoder(sounds.path)
    checks = list(estimator_checks_generator(encoder, mark="skip"))
    assert len(checks) > 30
    for one, check in checks:
        if getattr(check, "func", check).__name__ != "check_array_api_input":  # needs SCIPY_ARRAY_API
            check(one)


def test_it_gives_what_the_run_gives_its_own_items(both: RunFolder) -> None:
    run, test = cpc.open(both), load_dataset(both.config()).test
    heard = cpc.Encoder(run, "pooled_latent", "audio").transform(test.audio.numpy() / 32768)
    seen = cpc.Encoder(run, "pooled_latent", "image").transform(test.image.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(heard, embed(run.model, test)["audio"].pooled_latent.numpy(), atol=1e-5)
    np.testing.assert_allclose(seen, embed(run.model, test)["image"].pooled_latent.numpy(), atol=1e-5)


def test_a_long_recording_is_heard_as_the_run_hears_it(recordings: RunFolder) -> None:
    run, test = cpc.open(recordings), load_dataset(recordings.config()).test
    features = embed(run.model, test)["audio"].mean_context.numpy()
    assert test.lengths is not None
    assert len(set(test.lengths.tolist())) == 2
    for row in range(len(test)):
        [heard] = cpc.Encoder(run, "mean_context").transform(test.recording(row)[None].numpy() / 32768)
        np.testing.assert_allclose(heard, features[row], atol=1e-4)


def test_it_works_in_a_pipeline_without_being_fitted(sounds: RunFolder) -> None:
    test = load_dataset(sounds.config()).test
    values, labels = test.audio.numpy() / 32768, test.labels.numpy()
    pipeline = make_pipeline(cpc.Encoder(str(sounds.path)), LogisticRegression(max_iter=500))
    assert clone(pipeline).fit(values, labels).predict(values).shape == labels.shape
    shorter = cpc.Encoder(sounds.path).transform(values[:, :700])
    assert shorter.dtype == np.float32
    assert shorter.shape == (len(test), 16)


def test_what_does_not_fit_is_told(both: RunFolder, sounds: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="audio and image: give modality"):
        cpc.Encoder(both.path).fit(np.zeros((2, 50)))
    with pytest.raises(ConfigError, match="give modality, one of them"):
        cpc.Encoder(sounds.path, modality="image").transform(np.zeros((2, 8, 8, 3)))
    with pytest.raises(ValueError, match="pictures are"):
        cpc.Encoder(both.path, modality="image").fit(np.zeros((2, 3, 8, 8)))
    with pytest.raises(ConfigError, match="unknown feature"):
        cpc.Encoder(sounds.path, "sumary").transform(np.zeros((2, 50)))
