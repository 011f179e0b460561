"""Data sets prepared for Lipschitz networks: bounds, colours, metadata."""

from __future__ import annotations

import colorsys
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from mindspore import nn

from mindveil.runtime import lipdp


def test_input_bounds_hold_and_small_examples_stay() -> None:
    x = np.stack([np.full(4, 3.0), np.full(4, 0.1), np.zeros(4)]).astype(np.float32)
    clip, value = lipdp.bound_clip_value(1.0)
    clipped, normalised = clip(x, x)[0], lipdp.bound_normalize()[0](x, x)[0]
    assert value == 1.0
    np.testing.assert_allclose(np.linalg.norm(clipped, axis=1), [1, 0.2, 0], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(normalised, axis=1), [1, 1, 0], rtol=1e-6)


def test_colour_spaces_are_linear_maps_of_the_channels() -> None:
    gray = np.full((1, 3, 2, 2), 0.5, np.float32)
    for name in ("YIQ", "YUV"):
        luma = lipdp.get_colorspace_function(name)(gray, gray)[0]
        np.testing.assert_allclose(luma[0, :, 0, 0], [0.5, 0, 0], atol=1e-6)
    assert lipdp.get_colorspace_function("grayscale")(gray, gray)[0].shape == (1, 1, 2, 2)
    with pytest.raises(ValueError, match="must be one of RGB"):
        lipdp.get_colorspace_function("LAB")


def test_hsv_is_that_of_the_standard_library() -> None:
    rng = np.random.default_rng(0)
    pixels = np.concatenate(
        [rng.random((60, 3)), np.eye(3), np.zeros((1, 3)), np.ones((1, 3)), rng.random((3, 1)) * np.ones(3)]
    )
    image = pixels.T.reshape(1, 3, 4, 17).astype(np.float32)
    found = lipdp.get_colorspace_function("hsv")(image, image)[0].reshape(3, -1).T
    wanted = [colorsys.rgb_to_hsv(*map(float, image.reshape(3, -1)[:, k])) for k in range(len(pixels))]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_data_set_is_loaded_bounded_and_trained_on() -> None:
    train, test, metadata = lipdp.load_and_prepare_data(batch_size=300, bound_fct=lipdp.bound_clip_value(5.0))
    assert (metadata.input_shape, metadata.nb_classes) == ((1, 28, 28), 10)
    assert (metadata.nb_samples_train, metadata.nb_samples_test, metadata.nb_steps_per_epochs) == (4000, 1000, 13)
    assert np.linalg.norm(train[0].reshape(4000, -1), axis=1).max() <= metadata.max_norm * (1 + 1e-6)
    assert metadata.max_norm == 5.0
    layers = [lipdp.DP_BoundedInput(upper_bound=metadata.max_norm), lipdp.DP_Flatten(), lipdp.DP_QuickSpectralDense(10)]
    model = lipdp.DP_Sequential(
        layers=layers, dp_parameters=lipdp.DPParameters("global", 1.0, 1e-5), dataset_metadata=metadata
    )
    optimizer = nn.SGD(model.trainable_params(), 0.1)
    model.compile(loss=lipdp.DP_TauCategoricalCrossentropy(8.0), optimizer=optimizer)
    history = model.fit(train, epochs=1, validation_data=test)
    assert model.step.steps_done == 13
    assert history["val_accuracy"][0] > 0.3


def test_without_a_bound_the_norm_is_what_pixels_can_reach_and_a_rest_is_a_step(tmp_path: Path) -> None:
    _, _, metadata = lipdp.load_and_prepare_data(batch_size=300, drop_remainder=False)
    assert (metadata.max_norm, metadata.nb_steps_per_epochs) == (sqrt(784), 14)
    with pytest.raises(ValueError, match="needs images of three colours, and these have 1"):
        lipdp.load_and_prepare_data(colorspace="HSV")
    names = ("train_images", "train_labels", "test_images", "test_labels")
    images, labels = np.full((4, 3, 2, 2), 7.0, np.float32), np.arange(4, dtype=np.int32)
    np.savez(tmp_path / "own.npz", **dict(zip(names, (images, labels, images, labels), strict=True)))
    with pytest.raises(ValueError, match="their norm has no bound"):
        lipdp.load_and_prepare_data(tmp_path / "own.npz", batch_size=2)
    train, _, metadata = lipdp.load_and_prepare_data(
        tmp_path / "own.npz", batch_size=2, colorspace="YUV", bound_fct=lipdp.bound_normalize()
    )
    assert metadata.input_shape == (3, 2, 2)
    np.testing.assert_allclose(np.linalg.norm(train[0].reshape(4, -1), axis=1), 1, rtol=1e-6)
