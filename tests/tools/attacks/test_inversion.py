"""The seed attack: its objective against NumPy, planted weaknesses, chance, and what it refuses."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mindveil.tools.attacks import (
    ImageInversionAttack,
    ModelRunner,
    Objective,
    Smoothness,
    Weights,
    feature_names,
    identified,
    relative_l2,
)

from .networks import constant, digits, leaking, lenet5

Array = NDArray[Any]
SHAPE = (1, 32, 32)


def smoothness_of(images: Array, form: Smoothness) -> Array:
    """The term as its definition states it, image by image."""
    down, across = np.diff(images, axis=2), np.diff(images, axis=3)
    count, (channels, height, width) = (1, 2, 3), images.shape[1:]
    border = (images[:, :, -1] ** 2).sum((1, 2)) + (images[:, :, :, -1] ** 2).sum((1, 2))
    forms: dict[str, Array] = {
        "cpu": (down**2).sum(count) / (channels * width) + (across**2).sum(count) / (channels * height),
        "device": ((down**2).sum(count) + (across**2).sum(count) + border) / (channels * height * width),
    }
    return forms[form]


@pytest.mark.parametrize("form", ["cpu", "device"])
def test_losses_are_those_of_the_definition(form: Smoothness) -> None:
    images = digits()[0][:6]
    targets = ModelRunner.of(lenet5(), "fc1")(digits()[0][6:12])
    objective = Objective.of(lenet5(), "fc1", SHAPE, Weights(1.0, 0.1, 5.0), smoothness=form)
    seen = ModelRunner.of(lenet5(), "fc1")(images)
    expected = (
        ((seen - targets) ** 2).sum(1) / (targets**2).sum(1)
        + 0.1 * smoothness_of(images, form)
        + 5 * (images**2).mean((1, 2, 3))
    )
    np.testing.assert_allclose(objective.losses(images, targets), expected, rtol=2e-5)


@pytest.mark.parametrize("form", ["cpu", "device"])
def test_smoothness_of_colour_images_that_are_not_square(form: Smoothness) -> None:
    node = helper.make_node("Flatten", ["image"], ["seen"])
    image = helper.make_tensor_value_info("image", 1, ["n", 3, 5, 8])
    graph = helper.make_graph([node], "flat", [image], [helper.make_tensor_value_info("seen", 1, ["n", 120])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    images = np.random.default_rng(0).random((4, 3, 5, 8), dtype=np.float32)
    objective = Objective.of(model, "seen", (3, 5, 8), Weights(0, 1, 0), smoothness=form)
    found = objective.losses(images, np.ones((4, 120), np.float32))
    np.testing.assert_allclose(found, smoothness_of(images, form), rtol=1e-5)


def test_the_two_forms_of_smoothness_differ_by_the_height_inside_the_border() -> None:
    images = digits()[0][:3]  # framed in black, so the border adds nothing
    targets = np.ones((3, 120), np.float32)
    terms = [
        Objective.of(lenet5(), "fc1", SHAPE, Weights(0, 1, 0), smoothness=form).losses(images, targets)
        for form in ("cpu", "device")
    ]
    np.testing.assert_allclose(terms[0], 32 * terms[1], rtol=1e-5)


@pytest.mark.parametrize("form", ["cpu", "device"])
@pytest.mark.parametrize("cut", ["conv2", "fc1", "logits"])
def test_gradient_is_the_change_of_each_images_own_loss(form: Smoothness, cut: str) -> None:
    rng = np.random.default_rng(3)
    images = rng.random((4, *SHAPE), dtype=np.float32)
    targets = ModelRunner.of(lenet5(), cut)(digits()[0][:4])
    objective = Objective.of(lenet5(), cut, SHAPE, Weights(1.0, 0.1, 5.0), smoothness=form)
    _, gradient = objective(images, targets)
    direction = np.sign(gradient)  # the change along it is the gradient's L1 norm: large, so rounding matters little
    step = np.float32(2e-4)
    up = objective.losses(images + step * direction, targets).astype(np.float64)
    down = objective.losses(images - step * direction, targets).astype(np.float64)
    np.testing.assert_allclose((up - down) / (2 * step), np.abs(gradient).sum((1, 2, 3)), rtol=2e-2)


def test_an_image_is_attacked_as_if_it_were_alone() -> None:
    attack = ImageInversionAttack(lenet5(), features="fc1", input_shape=SHAPE)
    targets = attack.features(digits()[0][:5])
    start = np.full((5, *SHAPE), 0.02, np.float32)
    losses, gradient = attack.objective(start, targets)
    alone, own = attack.objective(start[3:4], targets[3:4])
    assert losses[3] == pytest.approx(alone[0], rel=1e-5)
    np.testing.assert_allclose(gradient[3], own[0], atol=1e-5 * np.abs(own).max())


def test_flattening_by_reshape_changes_nothing() -> None:
    """Reshape to (-1, 400) makes the batch axis anonymous to shape inference."""
    model = lenet5()
    index = next(index for index, node in enumerate(model.graph.node) if node.op_type == "Flatten")
    node = helper.make_node("Reshape", [model.graph.node[index].input[0], "flat.shape"], ["flat"])
    model.graph.node[index].CopyFrom(node)
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 400], np.int64), "flat.shape"))
    usual = ImageInversionAttack(lenet5(), features="fc1", input_shape=SHAPE)
    other = ImageInversionAttack(model, features="fc1", input_shape=SHAPE)
    targets = usual.features(digits()[0][:3])
    start = np.full((3, *SHAPE), 0.02, np.float32)
    for expected, found in zip(usual.objective(start, targets), other.objective(start, targets), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_a_model_that_shows_the_image_is_inverted() -> None:
    images = digits()[0]
    attack = ImageInversionAttack(leaking(), features="seen", input_shape=SHAPE, loss_weights=(1, 0, 0))
    found = attack.generate(attack.features(images[:100]), 150, seed=0)
    assert relative_l2(images[:100], found).mean() < 0.05
    assert identified(images[:100], found, images[100:1000]).all()


def test_the_first_convolution_shows_the_image() -> None:
    images = digits()[0]
    attack = ImageInversionAttack(lenet5(), features="conv1", input_shape=SHAPE, loss_weights=(1, 1e-4, 1e-3))
    found = attack.generate(attack.features(images[:40]), 200, seed=0)
    assert relative_l2(images[:40], found).mean() < 0.15
    assert identified(images[:40], found, images[40:1000]).mean() > 0.99


def test_a_constant_model_gives_away_nothing() -> None:
    images = digits()[0]
    attack = ImageInversionAttack(constant(), features="seen", input_shape=SHAPE)
    found = attack.generate(attack.features(images[:100]), 50, seed=0)
    assert identified(images[:100], found, images[100:1000]).sum() <= 2


def test_the_usual_weights_prefer_a_wrong_image_and_the_check_says_so() -> None:
    images = digits()[0][:30]
    attack = ImageInversionAttack(lenet5(), features="fc1", input_shape=SHAPE, loss_weights=(1, 0.1, 5))
    check = attack.check_objective(images, attack.generate(attack.features(images), 100, seed=0))
    assert not check.sound
    assert check.share_preferring_wrong > 0.9
    honest = ImageInversionAttack(leaking(), features="seen", input_shape=SHAPE, loss_weights=(1, 0, 0))
    assert honest.check_objective(images, honest.generate(honest.features(images), 20, seed=0)).sound


def test_the_same_seed_repeats_and_the_curve_falls() -> None:
    attack = ImageInversionAttack(lenet5(), features="fc1", input_shape=SHAPE)
    targets = attack.features(digits()[0][:8])
    with pytest.raises(ValueError, match="call generate first"):
        _ = attack.loss_curve
    first = attack.generate(targets, 30, seed=5)
    curve = attack.loss_curve
    assert curve.shape == (31, 8)
    assert (curve[-1] < curve[0]).all()
    np.testing.assert_array_equal(first, attack.generate(targets, 30, seed=5))
    assert not np.array_equal(first, attack.generate(targets, 30, seed=6))


def test_pixels_stay_in_bounds_and_move_by_the_step_at_most() -> None:
    attack = ImageInversionAttack(lenet5(), features="fc1", input_shape=SHAPE, input_bound=(0.0, 0.3))
    found = attack.generate(attack.features(digits()[0][:4]), 40, seed=0)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() == np.float32(0.3)
    short = attack.generate(attack.features(digits()[0][:4]), 10, seed=0)
    assert short.max() <= 0.05 + 10 * 0.01 + 1e-6


def test_a_target_of_zeros_is_compared_without_dividing_by_zero() -> None:
    attack = ImageInversionAttack(lenet5(), features="fc1", input_shape=SHAPE)
    found = attack.generate(np.zeros((2, 120), np.float32), 5, seed=0)
    assert np.isfinite(found).all()
    assert np.isfinite(attack.loss_curve).all()


def test_thirty_images_and_a_hundred_iterations_take_little_time() -> None:
    attack = ImageInversionAttack(lenet5(), features="fc1", input_shape=SHAPE)
    targets = attack.features(digits()[0][:30])
    seconds = []
    for _ in range(3):
        started = time.process_time()
        attack.generate(targets, 100, seed=0)
        seconds.append(time.process_time() - started)
    assert min(seconds) < 1.5  # 0.4 s on an idle processor; the bound leaves room for a shared one


def test_names_of_features_are_offered() -> None:
    names = feature_names(lenet5())
    assert {"conv1", "conv2", "fc1", "fc2", "logits"} <= set(names)
    assert "flat" not in names
    with pytest.raises(ValueError, match=r"no value 'fc7'.*conv1.*fc1.*logits"):
        ImageInversionAttack(lenet5(), features="fc7", input_shape=SHAPE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_bound": (1.0, 0.0)}, "low below high"),
        ({"loss_weights": (1.0, 2.0)}, "wanted 3"),
        ({"loss_weights": (1.0, -1.0, 0.0)}, "at least 0"),
        ({"loss_weights": (0.0, 0.0, 0.0)}, "not all 0"),
        ({"input_shape": (3, 32, 32)}, "the model's input 'input' is"),
        ({"input_shape": (1, 32)}, "channels, height, width"),
        ({"smoothness": "both"}, "one of cpu, device"),
        ({"threads": 0}, "at least 1"),
    ],
    ids=str,
)
def test_an_argument_out_of_range_is_refused(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"features": "fc1", "input_shape": SHAPE, **options}
    with pytest.raises(ValueError, match=message):
        ImageInversionAttack(lenet5(), **arguments)


def test_targets_that_do_not_fit_are_refused() -> None:
    attack = ImageInversionAttack(lenet5(), features="fc1", input_shape=SHAPE)
    with pytest.raises(ValueError, match=r"wanted \(N, 120\)"):
        attack.generate(np.zeros((2, 84), np.float32))
    with pytest.raises(ValueError, match="not finite"):
        attack.generate(np.full((2, 120), np.nan, np.float32))
    with pytest.raises(ValueError, match="iters is 0"):
        attack.generate(np.zeros((2, 120), np.float32), 0)
    with pytest.raises(ValueError, match="made for"):
        attack.features(np.zeros((1, 1, 28, 28), np.float32))


def test_a_fixed_batch_size_is_refused() -> None:
    model = lenet5()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("input", 1, [1, *SHAPE]))
    with pytest.raises(ValueError, match="batch size is fixed at 1; export it with a symbolic batch axis"):
        ImageInversionAttack(model, features="fc1", input_shape=SHAPE)
