"""The kernels for normalisation against NumPy in double precision, their gradients against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from .call_kernel import Floats, call_kernel

EPSILON = np.array(1e-3, np.float32)
Doubles = NDArray[np.float64]


def draw(*shape: int) -> Floats:
    """Numbers around 0.5, the same at every call."""
    return np.random.default_rng(sum(shape)).normal(0.5, 1, shape).astype(np.float32)


def group_norm(x: Any, scale: Any, shift: Any, groups: int) -> tuple[Doubles, Doubles, Doubles]:
    """y, mean and 1 / deviation."""
    rows, channels = x.shape[:2]
    grouped = x.reshape(rows, groups, -1).astype(np.float64)
    mean = grouped.mean(2)
    spread = 1 / np.sqrt(grouped.var(2) + float(EPSILON))
    normal = ((grouped - mean[..., None]) * spread[..., None]).reshape(x.shape)
    wide = (1, channels) + (1,) * (x.ndim - 2)
    return normal * scale.reshape(wide) + shift.reshape(wide), mean, spread


def gradient_of(function: Callable[[Doubles], Doubles], at: Floats, dy: Floats) -> Doubles:
    """Of ``sum(dy * function(at))``, by central differences in double precision."""
    point = at.astype(np.float64)
    found = np.zeros_like(point)
    for k in np.ndindex(*point.shape):
        step = np.zeros_like(point)
        step[k] = 1e-5
        found[k] = ((function(point + step) - function(point - step)) * dy).sum() / 2e-5
    return found


@pytest.mark.parametrize(("channels", "groups", "space"), [(6, 2, (3, 5)), (4, 4, (2, 9)), (4, 1, (7,)), (3, 3, ())])
def test_group_norm_and_its_gradients(channels: int, groups: int, space: tuple[int, ...]) -> None:
    x, scale, shift = draw(2, channels, *space), draw(channels), draw(channels)
    count = np.array([groups], np.int64)
    y, mean, spread = call_kernel(
        "normalisation", "mindveil_group_norm", [x, scale, shift, count, EPSILON], [x.shape, (2, groups), (2, groups)]
    )
    for got, wanted in zip((y, mean, spread), group_norm(x, scale, shift, groups), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5)
    dy = draw(2, channels, *space, 1)[..., 0]
    for parts in (1, 2):
        dx, dscale, dshift = call_kernel(
            "normalisation",
            "mindveil_group_norm_grad",
            [dy, x, mean, spread, scale],
            [x.shape, (parts, channels), (parts, channels)],
        )
        of_x = gradient_of(lambda v: group_norm(v, scale, shift, groups)[0], x, dy)
        np.testing.assert_allclose(dx, of_x, rtol=1e-3, atol=2e-3 * np.abs(of_x).max() + 1e-5)
        for n in range(parts):
            rows = slice(None) if parts == 1 else slice(n, n + 1)
            for got, argument in ((dscale, 1), (dshift, 2)):
                wanted = gradient_of(
                    lambda v, a=argument, r=rows: group_norm(  # type: ignore[misc]
                        x[r], v if a == 1 else scale, v if a == 2 else shift, groups
                    )[0],
                    (scale, shift)[argument - 1],
                    dy[rows],
                )
                np.testing.assert_allclose(got[n], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1, 5, 16, 67])
def test_layer_norm_and_its_gradients(size: int) -> None:
    x, scale, shift, dy = draw(6, size), draw(size), draw(size), draw(6, size, 1)[..., 0]
    y, mean, variance = call_kernel(
        "normalisation", "mindveil_layer_norm", [x, scale, shift, EPSILON], [x.shape, (6,), (6,)]
    )

    def layer_norm(v: Any, a: Any, b: Any) -> Doubles:
        result: Doubles = group_norm(v[:, None, :], np.ones(1), np.zeros(1), 1)[0][:, 0] * a + b
        return result

    np.testing.assert_allclose(y, layer_norm(x, scale, shift), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(1), rtol=1e-5, atol=1e-6)
    for parts in (1, 3, 6):
        dx, dscale, dshift = call_kernel(
            "normalisation",
            "mindveil_layer_norm_grad",
            [x, dy, variance, mean, scale, EPSILON],
            [x.shape, (parts, size), (parts, size)],
        )
        wanted = gradient_of(lambda v: layer_norm(v, scale, shift), x, dy)
        np.testing.assert_allclose(dx, wanted, rtol=1e-3, atol=2e-3 * np.abs(wanted).max() + 1e-5)
        normal = dy * layer_norm(x, np.ones(size), np.zeros(size))
        np.testing.assert_allclose(dscale, normal.reshape(parts, -1, size).sum(1), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(dshift, dy.reshape(parts, -1, size).sum(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("function", "inputs", "outputs"),
    [
        (
            "mindveil_group_norm",
            [draw(2, 6, 3), draw(6), draw(6), np.array([4], np.int64), EPSILON],
            [(2, 6, 3), (2, 4), (2, 4)],
        ),
        (
            "mindveil_group_norm_grad",
            [draw(2, 6), draw(2, 6), draw(2, 2), draw(2, 2), draw(6)],
            [(2, 6), (3, 6), (3, 6)],
        ),
        ("mindveil_layer_norm", [draw(2, 6), draw(5), draw(6), EPSILON], [(2, 6), (2,), (2,)]),
        (
            "mindveil_layer_norm_grad",
            [draw(4, 6), draw(4, 6), draw(4), draw(4), draw(6), EPSILON],
            [(4, 6), (3, 6), (3, 6)],
        ),
    ],
)
def test_wrong_arguments_are_refused(function: str, inputs: list[Any], outputs: list[tuple[int, ...]]) -> None:
    with pytest.raises(RuntimeError, match="returned 1"):
        call_kernel("normalisation", function, inputs, outputs)
