"""No input, cotangent and feasible weight that a search finds exceeds what a layer's rules state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mindspore import Tensor, ops
from numpy.typing import NDArray

from mindveil.runtime import lipdp

Array = NDArray[Any]
IMAGE = (4, 9, 8)
ROUNDING = 1 + 2e-5
BATCH = 6


def squares(x: Tensor) -> Tensor:
    return ops.abs(x) * 2.0


# (layer, shape of an example, share of the input, cotangent and parameter rule that the worst case must reach)
LAYERS: dict[str, tuple[Callable[[], Any], tuple[int, ...], tuple[float, float, float]]] = {
    "dense": (lambda: lipdp.DP_QuickSpectralDense(5), (7,), (0.99, 0.99, 0.99)),
    "dense of tokens": (lambda: lipdp.DP_SpectralDense(5), (3, 7), (0.99, 0.99, 0.99)),
    "frobenius": (lambda: lipdp.DP_QuickFrobeniusDense(5), (7,), (0.4, 0.4, 0.99)),
    "convolution": (lambda: lipdp.DP_QuickSpectralConv2D(6, 3), IMAGE, (0.3, 0.3, 0.7)),
    "padded": (lambda: lipdp.DP_SpectralConv2D(6, 3), IMAGE, (0.3, 0.3, 0.85)),
    "strided": (lambda: lipdp.DP_QuickSpectralConv2D(6, 3, strides=2, padding="same"), IMAGE, (0.4, 0.4, 0.7)),
    "patches as convolution": (lambda: lipdp.DP_QuickSpectralConv2D(6, 4, strides=4), IMAGE, (0.99, 0.99, 0.99)),
    "dilated": (lambda: lipdp.DP_QuickSpectralConv2D(6, 3, dilation_rate=2, padding="same"), IMAGE, (0.3, 0.3, 0.7)),
    "bias of a vector": (lambda: lipdp.DP_AddBias(2.0), (5,), (0.99, 0.99, 0.99)),
    "bias of an image": (lambda: lipdp.DP_AddBias(0.1), IMAGE, (0.6, 0.99, 0.99)),
    "pairs": (lambda: lipdp.DP_GroupSort(2), IMAGE, (0.99, 0.99, 0)),
    "groups": (lambda: lipdp.DP_GroupSort(3), (6,), (0.99, 0.99, 0)),
    "all sorted": (lambda: lipdp.DP_GroupSort(), (5,), (0.99, 0.99, 0)),
    "rectified": (lambda: lipdp.DP_ReLU(), (5,), (0.99, 0.99, 0)),
    "norms of windows": (lambda: lipdp.DP_ScaledL2NormPooling2D(2, 2), IMAGE, (0.99, 0.99, 0)),
    "maxima": (lambda: lipdp.DP_MaxPool2D(2), IMAGE, (0.99, 0.99, 0)),
    "means": (lambda: lipdp.DP_AveragePooling2D(2), IMAGE, (0.99, 0.99, 0)),
    "scaled means": (lambda: lipdp.DP_ScaledAveragePooling2D((3, 2)), IMAGE, (0.99, 0.99, 0)),
    "norms of channels": (lambda: lipdp.DP_ScaledGlobalL2NormPooling2D(), IMAGE, (0.99, 0.99, 0)),
    "norms of an axis": (lambda: lipdp.DP_ScaledL2NormPooling1D(), (3, 4), (0.99, 0.99, 0)),
    "flat": (lambda: lipdp.DP_Flatten(), IMAGE, (0.99, 0.99, 0)),
    "reshaped": (lambda: lipdp.DP_Reshape((-1, 4)), IMAGE, (0.99, 0.99, 0)),
    "permuted": (lambda: lipdp.DP_Permute((2, 1)), (3, 4), (0.99, 0.99, 0)),
    "function": (lambda: lipdp.DP_Lambda(squares, gain=2.0), (5,), (0.99, 0.99, 0)),
    "centered channels": (lambda: lipdp.DP_LayerCentering(), IMAGE, (0.99, 0.99, 0)),
    "centered tokens": (lambda: lipdp.DP_LayerCentering(), (3, 4), (0.99, 0.99, 0)),
    "cut into patches": (lambda: lipdp.DP_Patches(4), IMAGE, (0.99, 0.99, 0)),
    "bounded": (lambda: lipdp.DP_BoundedInput(upper_bound=0.5), (5,), (0.99, 0.45, 0)),
    "checked": (lambda: lipdp.DP_BoundedInput(upper_bound=2.0, enforce_clipping=False), (5,), (0.5, 0.99, 0)),
    "clipped on the way back": (lambda: lipdp.DP_ClipGradient(0.25), (5,), (0.99, 0.99, 0)),
}


def norms(x: Array) -> Array:
    return np.asarray(np.linalg.norm(x.reshape(len(x), -1).astype(np.float64), axis=1))


def unit(x: Array) -> Array:
    return np.asarray(x / np.maximum(norms(x), 1e-30).reshape(-1, *(1,) * (x.ndim - 1)))


def starts(shape: tuple[int, ...]) -> Array:
    """Random inputs, and those that defeat bounds: a constant image, one of rounding errors, a single pixel."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, *shape))
    x[0] = 1.0
    x[1] = 0.0
    x[1].flat[x[1].size // 2] = 1.0
    x[2] = np.abs(x[2])
    return unit(x)


def feasible(layer: Any) -> None:
    """A worst weight: for a bias, all of its norm in one channel."""
    if isinstance(layer, lipdp.DP_AddBias):
        bias = np.zeros(layer.bias.shape, np.float32)
        bias[0] = 100.0
        layer.bias.set_data(Tensor(bias))
        layer.project()


@pytest.mark.parametrize("name", LAYERS)
def test_no_search_exceeds_the_rules_and_it_comes_close(name: str, probe: Callable[..., Any]) -> None:
    make, shape, reached = LAYERS[name]
    layer = make()
    run = probe(layer, shape)
    feasible(layer)
    x, dy = starts(shape), unit(np.random.default_rng(1).normal(size=(BATCH, *run.outside)))
    forward = back = 0.0
    for _ in range(25):  # power iteration: exact for linear layers, ascent for those that keep scale
        y, dx, _ = run(x, dy)
        forward, back = max(forward, norms(y).max()), max(back, norms(dx).max())
        dy = unit(y)
        following = run(x, dy)[1]
        back = max(back, norms(following).max())
        moved = norms(following) > 0
        x[moved] = unit(following)[moved]
    stated = layer.propagate_inputs(1.0), layer.backpropagate_inputs(1.0, 1.0)
    assert reached[0] * stated[0] <= forward <= stated[0] * ROUNDING
    assert reached[1] * stated[1] <= back <= stated[1] * ROUNDING
    assert layer.propagate_inputs(1.0, "current") <= stated[0] * ROUNDING
    if layer.has_parameters():
        worst = worst_gradient(layer, run, shape)
        bound = layer.backpropagate_params(1.0, 1.0)
        assert reached[2] * bound <= worst <= bound * ROUNDING


def worst_gradient(layer: Any, run: Any, shape: tuple[int, ...]) -> float:
    """Alternating maximisation of the parameter's gradient over unit inputs and cotangents, one example at a time.

    The gradient is bilinear in them, so that with the weight set to its own direction the best inputs are singular
    vectors of the layer, which a step of power iteration improves.
    """
    saved, worst = layer.parameter().asnumpy().copy(), 0.0
    for start in range(3):
        x = starts(shape)[start : start + 1].repeat(BATCH, 0)
        x[1:] = 0  # one example counts, and the shape stays compiled
        dy = np.zeros((BATCH, *run.outside))
        dy[0] = 1.0
        for _ in range(25):
            gradient = run(x, np.concatenate([unit(dy[:1]), np.zeros_like(dy[1:])]))[2].astype(np.float64)
            worst = max(worst, float(np.linalg.norm(gradient)))
            layer.parameter().set_data(Tensor((gradient / np.linalg.norm(gradient)).astype(np.float32)))
            dy = run(x)[0] if not isinstance(layer, lipdp.DP_AddBias) else dy
            dx = run(x, dy)[1]
            x[:1] = unit(dx[:1])
    layer.parameter().set_data(Tensor(saved))
    return worst


def test_a_bias_within_an_image_costs_the_root_of_its_positions() -> None:
    layer = lipdp.DP_AddBias(1.0)
    layer.build(IMAGE)
    assert layer.backpropagate_params(1.0, 1.0) == pytest.approx(np.sqrt(72))
    assert layer.propagate_inputs(1.0) == pytest.approx(1 + np.sqrt(72))


def test_examples_do_not_depend_on_each_other_in_a_centered_batch(probe: Callable[..., Any]) -> None:
    run = probe(lipdp.DP_LayerCentering(), (3, 4))
    x = np.random.default_rng(0).normal(size=(4, 3, 4))
    before = run(x)[0]
    x[0] += 10
    x[0, 0] -= 30
    np.testing.assert_array_equal(run(x)[0][1:], before[1:])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
def test_an_example_that_is_not_finite_cannot_pass_the_bound(value: float, probe: Callable[..., Any]) -> None:
    for layer in (lipdp.DP_BoundedInput(upper_bound=2.0), lipdp.DP_ClipGradient(2.0)):
        run = probe(layer, (5,))
        rows = np.ones((2, 5))
        rows[0, 1] = value
        bounded = run(rows)[0] if isinstance(layer, lipdp.DP_BoundedInput) else run(np.ones((2, 5)), rows)[1]
        assert (norms(bounded) <= 2.0).all()
        assert norms(bounded)[1] > 1.9


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e30])
def test_examples_are_put_into_the_ball_at_every_scale(scale: float, probe: Callable[..., Any]) -> None:
    run = probe(lipdp.DP_BoundedInput(upper_bound=1.0), (50,))
    x = np.random.default_rng(0).normal(size=(BATCH, 50)) * scale
    y = run(x)[0]
    assert (norms(y) <= 1.0).all()
    np.testing.assert_allclose(norms(y), np.minimum(norms(x), 1.0), rtol=1e-5, atol=1e-37)


def test_residual_rules_are_the_triangle_inequality() -> None:
    split, merge = lipdp.DP_SplitResidual(), lipdp.DP_MergeResidual("add")
    assert split.propagate_inputs(2.0) == (2.0, 2.0)
    assert split.backpropagate_inputs(2.0, (1.0, 3.0)) == 4.0
    assert merge.propagate_inputs((1.0, 3.0)) == 4.0
    assert merge.backpropagate_inputs(None, 5.0) == (5.0, 5.0)
    half = lipdp.DP_MergeResidual("1-lip-add")
    assert half.propagate_inputs((1.0, 3.0)) == 2.0
    assert half.backpropagate_inputs(None, 5.0) == (2.5, 2.5)
    wrapped = lipdp.DP_WrappedResidual(lipdp.DP_Lambda(squares, gain=2.0))
    assert wrapped.propagate_inputs((1.0, 3.0)) == (1.0, 6.0)
    assert wrapped.backpropagate_inputs((1.0, 3.0), (1.0, 1.0)) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lipdp.DP_QuickSpectralDense(3, use_bias=True), "add DP_AddBias"),
        (lambda: lipdp.DP_QuickSpectralConv2D(3, 3, padding="full"), "must be 'valid' or 'same'"),
        (lambda: lipdp.DP_MaxPool2D(3, strides=2), "not 1-Lipschitz"),
        (lambda: lipdp.DP_MergeResidual("mean"), "must be one of add, 1-lip-add"),
        (lambda: lipdp.DP_LayerCentering(scale=True), "only centers"),
        (lambda: lipdp.DP_BoundedInput(upper_bound=0.0), "finite and positive"),
        (lambda: lipdp.DP_ClipGradient(None), "must be a number"),
        (lambda: lipdp.DP_ClipGradient(-1.0), "at least 0"),
        (lambda: lipdp.DP_GroupSort(2).build((5,)), "groups of 2"),
        (lambda: lipdp.DP_Permute((1, 3)), "permutation"),
        (lambda: lipdp.DP_ClipGradient(None, "dynamic").backpropagate_inputs(1.0, 1.0), "never set"),
    ],
)
def test_a_layer_that_would_have_no_bound_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
