"""The kernels for filter gradients against one example at a time in NumPy, in double precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from .call_kernel import Floats, call_kernel


@dataclass(frozen=True)
class Case:
    """A convolution; ``pads`` are zeros at the top, left, bottom and right."""

    batch: int
    inputs: int
    outputs: int
    kernel: tuple[int, int]
    sides: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    @property
    def window(self) -> NDArray[np.int64]:
        top, left, bottom, right = self.pads
        return np.array([*self.kernel, *self.stride, *self.dilation, top, left, bottom, right], np.int64)

    def draw(self) -> tuple[Floats, Floats]:
        """dY and x."""
        generator = np.random.default_rng(self.inputs)
        high, wide = (s + self.pads[k] + self.pads[k + 2] for k, s in enumerate(self.sides))
        given = [
            (size - (k - 1) * d - 1) // s + 1
            for size, k, d, s in zip((high, wide), self.kernel, self.dilation, self.stride, strict=True)
        ]
        dy = generator.normal(size=(self.batch, self.outputs, *given)).astype(np.float32)
        return dy, generator.normal(size=(self.batch, self.inputs, *self.sides)).astype(np.float32)

    def gradients(self, dy: Floats, x: Floats) -> NDArray[np.float64]:
        """``[B, co, ci, kh, kw]``, tap after tap."""
        top, left, bottom, right = self.pads
        padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
        found = np.zeros((self.batch, self.outputs, self.inputs, *self.kernel))
        for r, k in np.ndindex(*self.kernel):
            down, across = r * self.dilation[0], k * self.dilation[1]
            met = padded[:, :, down :: self.stride[0], across :: self.stride[1]][:, :, : dy.shape[2], : dy.shape[3]]
            found[..., r, k] = np.einsum("bohw,bihw->boi", dy, met)
        return found


CASES = {
    "lenet_1": Case(3, 1, 6, (5, 5), (32, 32)),
    "lenet_2": Case(3, 6, 16, (5, 5), (14, 14)),
    "resnet_first": Case(2, 3, 16, (3, 3), (32, 32), pads=(1, 1, 1, 1)),
    "resnet_16": Case(2, 16, 16, (3, 3), (32, 32), pads=(1, 1, 1, 1)),
    "resnet_down": Case(2, 16, 32, (3, 3), (32, 32), (2, 2), (1, 1, 1, 1)),
    "resnet_32": Case(2, 32, 32, (3, 3), (16, 16), pads=(1, 1, 1, 1)),
    "resnet_down_64": Case(2, 32, 64, (3, 3), (16, 16), (2, 2), (1, 1, 1, 1)),
    "resnet_64": Case(2, 64, 64, (3, 3), (8, 8), pads=(1, 1, 1, 1)),
    "resnet_shortcut": Case(2, 16, 32, (1, 1), (32, 32), (2, 2)),
    "wide_kernel": Case(2, 1, 16, (8, 8), (28, 28), (2, 2), (2, 2, 2, 2)),
    "uneven": Case(1, 2, 17, (2, 7), (9, 11), (2, 1), (0, 3, 1, 2)),
    "dilated": Case(2, 3, 5, (4, 3), (13, 12), (1, 2), (1, 0, 0, 1), (2, 3)),
    "one_value": Case(1, 1, 1, (1, 1), (1, 1)),
    "tall": Case(2, 2, 33, (6, 4), (10, 9)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_gradients_norms_and_weighted_sums_are_those_of_each_example(case: Case) -> None:
    dy, x = case.draw()
    wanted = case.gradients(dy, x).reshape(case.batch, -1)
    size = wanted.shape[1]
    (terms,) = call_kernel("convolution", "mindveil_filter_terms", [dy, x, case.window], [(case.batch, size)])
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(terms, wanted, rtol=1e-5, atol=1e-6 * scale)
    (squares,) = call_kernel("convolution", "mindveil_filter_squares", [dy, x, case.window], [(case.batch, 1)])
    np.testing.assert_allclose(squares[:, 0], np.square(wanted).sum(1), rtol=1e-5)
    weights = np.linspace(0.25, 1, case.batch).astype(np.float32)
    (total,) = call_kernel("convolution", "mindveil_filter_weighted", [weights, dy, x, case.window], [(1, size)])
    np.testing.assert_allclose(total[0], weights.astype(np.float64) @ wanted, rtol=1e-5, atol=2e-6 * scale)


def test_an_example_of_weight_zero_adds_nothing_whatever_it_holds() -> None:
    case = CASES["lenet_2"]
    dy, x = case.draw()
    dy[1] = np.nan
    (squares,) = call_kernel("convolution", "mindveil_filter_squares", [dy, x, case.window], [(3, 1)])
    assert np.isfinite(squares[:, 0]).tolist() == [True, False, True]
    weights = np.array([1, 0, 1], np.float32)
    inputs: list[Any] = [weights, dy, x, case.window]
    (total,) = call_kernel("convolution", "mindveil_filter_weighted", inputs, [(1, 2400)])
    assert np.isfinite(total).all()


@pytest.mark.parametrize(
    ("window", "size"),
    [
        ([5, 9, 1, 1, 1, 1, 0, 0, 0, 0], 4320),
        ([5, 5, 2, 1, 1, 1, 0, 0, 0, 0], 2400),
        ([5, 5, 1, 1, 1, 1, 0, 0, -1, 0], 2400),
        ([5, 5, 1, 1, 1, 1, 0, 0, 0, 0], 2401),
        ([5, 5, 1, 1, 1, 1, 0, 0, 0], 2400),
    ],
    ids=["too_wide", "beyond_the_input", "negative_padding", "other_size", "short"],
)
def test_what_does_not_fit_is_refused(window: list[int], size: int) -> None:
    dy, x = CASES["lenet_2"].draw()
    inputs: list[Any] = [dy, x, np.array(window, np.int64)]
    with pytest.raises(RuntimeError, match=r"returned [13]"):
        call_kernel("convolution", "mindveil_filter_terms", inputs, [(3, size)])


def test_neighbouring_rows_make_one_example() -> None:
    case = Case(6, 3, 9, (3, 3), (7, 6), pads=(1, 1, 1, 1))
    dy, x = case.draw()
    wanted = case.gradients(dy, x).reshape(2, 3, -1).sum(1)
    size = wanted.shape[1]
    inputs: list[Any] = [dy, x, case.window]
    (terms,) = call_kernel("convolution", "mindveil_filter_terms", inputs, [(2, size)])
    np.testing.assert_allclose(terms, wanted, rtol=1e-4, atol=1e-4)
    (squares,) = call_kernel("convolution", "mindveil_filter_squares", inputs, [(2, 1)])
    np.testing.assert_allclose(squares[:, 0], np.square(wanted).sum(1), rtol=1e-4)
    weights = np.array([0.25, 1], np.float32)
    (total,) = call_kernel("convolution", "mindveil_filter_weighted", [weights, *inputs], [(1, size)])
    np.testing.assert_allclose(total[0], weights.astype(np.float64) @ wanted, rtol=1e-4, atol=1e-4)
    with pytest.raises(RuntimeError, match="returned 1"):
        call_kernel("convolution", "mindveil_filter_terms", inputs, [(4, size)])
