"""The kernels for convolution and pooling against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .call_kernel import Floats, call_kernel
from .test_convolution import CASES, Case


def draw(*shape: int) -> Floats:
    """Normal numbers, the same at every call."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_convolution_is_the_sum_over_its_taps(case: Case) -> None:
    dy, x = case.draw()
    filters = draw(case.outputs, case.inputs, *case.kernel)
    window = np.append(case.window, 0)
    (y,) = call_kernel("direct_convolution", "mindveil_convolve", [x, filters, window], [dy.shape])
    # <dY, conv(x, W)> = <W, gradient of W>, example by example
    products = np.einsum("boiuv,oiuv->b", case.gradients(dy, x), filters.astype(np.float64))
    scale = np.abs(case.gradients(np.abs(dy), np.abs(x))).sum((1, 2, 3, 4)) * np.abs(filters).mean()
    np.testing.assert_array_less(np.abs((y * dy.astype(np.float64)).sum((1, 2, 3)) - products), 1e-5 * scale)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.stride == (1, 1) and n != "uneven"])
def test_the_gradient_of_the_input_is_the_transpose(name: str) -> None:
    case = CASES[name]
    dy, x = case.draw()
    filters = draw(case.outputs, case.inputs, *case.kernel)
    reach = [(k - 1) * d for k, d in zip(case.kernel, case.dilation, strict=True)]
    top, left, bottom, right = case.pads
    zeros = [reach[0] - top, reach[1] - left, reach[0] - bottom, reach[1] - right]
    window = np.array([*case.kernel, 1, 1, *case.dilation, *zeros, 1], np.int64)
    (dx,) = call_kernel("direct_convolution", "mindveil_convolve", [dy, filters, window], [x.shape])
    products = np.einsum("boiuv,oiuv->b", case.gradients(dy, x), filters.astype(np.float64))
    scale = np.abs(case.gradients(np.abs(dy), np.abs(x))).sum((1, 2, 3, 4)) * np.abs(filters).mean()
    np.testing.assert_array_less(np.abs((dx * x.astype(np.float64)).sum((1, 2, 3)) - products), 1e-5 * scale)


def test_every_position_of_a_convolution() -> None:
    case = CASES["uneven"]
    dy, x = case.draw()
    filters = draw(case.outputs, case.inputs, *case.kernel)
    (y,) = call_kernel("direct_convolution", "mindveil_convolve", [x, filters, np.append(case.window, 0)], [dy.shape])
    for o, i, j in np.ndindex(*dy.shape[1:]):
        one = np.zeros_like(dy)
        one[0, o, i, j] = 1
        wanted = (case.gradients(one, x)[0] * filters).sum()
        assert abs(y[0, o, i, j] - wanted) < 1e-4


def test_a_filter_that_does_not_fit_is_refused() -> None:
    case = CASES["lenet_2"]
    dy, x = case.draw()
    window = np.append(case.window, 0)
    with pytest.raises(RuntimeError, match="returned 3"):
        call_kernel("direct_convolution", "mindveil_convolve", [x, draw(16, 5, 5, 5), window], [dy.shape])


@pytest.mark.parametrize("sides", [(4, 6), (5, 7)])
@pytest.mark.parametrize("stride", [(2, 2), (1, 1), (2, 1), (3, 3)])
def test_the_first_maximum_of_a_window_takes_the_gradient(sides: tuple[int, int], stride: tuple[int, int]) -> None:
    x = np.round(draw(2, 3, *sides))  # with equal values in many windows
    view = np.lib.stride_tricks.sliding_window_view
    windows = view(view(x, 2, axis=2), 2, axis=3)[:, :, :: stride[0], :: stride[1]]
    flat = windows.reshape(*windows.shape[:4], 4)
    y = flat.max(-1)
    dy = draw(*y.shape)
    wanted = np.zeros_like(x)
    for n, c, i, j in np.ndindex(*y.shape):
        k = flat[n, c, i, j].argmax()
        wanted[n, c, stride[0] * i + k // 2, stride[1] * j + k % 2] += dy[n, c, i, j]
    window = np.array([2, 2, *stride], np.int64)
    (dx,) = call_kernel("pooling", "mindveil_max_pool_grad", [x, y, dy, window], [x.shape])
    np.testing.assert_allclose(dx, wanted, atol=1e-6)


def test_windows_beyond_the_input_are_refused() -> None:
    inputs: list[Any] = [draw(2, 3, 4, 6), draw(2, 3, 2, 3), draw(2, 3, 2, 3), np.array([2, 3, 2, 3], np.int64)]
    with pytest.raises(RuntimeError, match="returned 1"):
        call_kernel("pooling", "mindveil_max_pool_grad", inputs, [(2, 3, 4, 6)])
