"""The kernels for rows against NumPy in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from .call_kernel import Floats, call_kernel

SIZES = [1, 31, 32, 33, 2047, 2048, 2049, 6000]


def draw(*shape: int) -> Floats:
    """Normal numbers, the same at every call."""
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_squares_are_the_sum_of_squares_of_each_row(size: int) -> None:
    x = draw(3, size)
    (got,) = call_kernel("rows", "mindveil_squares", [x], [(3, 1)])
    np.testing.assert_allclose(got, np.square(x, dtype=np.float64).sum(1, keepdims=True), rtol=1e-6)


def test_squares_lose_no_digits_in_a_long_row() -> None:
    x = np.full((1, 1 << 24), 0.1, np.float32)
    (got,) = call_kernel("rows", "mindveil_squares", [x], [(1, 1)])
    np.testing.assert_allclose(got, np.square(x, dtype=np.float64).sum(1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e30])
def test_squares_of_a_row_that_is_not_finite_are_not_finite(bad: float) -> None:
    x = draw(3, 70)
    x[1, 69] = bad
    (got,) = call_kernel("rows", "mindveil_squares", [x], [(3, 1)])
    assert np.isfinite(got[:, 0]).tolist() == [True, False, True]


@pytest.mark.parametrize("after", [1, 5, 64])
@pytest.mark.parametrize("size", [1, 7, 2500])
def test_sums_run_over_the_middle_axis(size: int, after: int) -> None:
    x = draw(4, size, after)
    (got,) = call_kernel("rows", "mindveil_sums", [x], [(4, after)])
    np.testing.assert_allclose(got, x.sum(1, dtype=np.float64), rtol=1e-5, atol=1e-4)


def test_scaled_multiplies_each_example_and_clears_what_is_not_finite() -> None:
    x, w = draw(2, 3, 40), np.array([0.5, 0.0, 1.0], np.float32)
    x[0, 1, 3], x[1, 2, 4], x[1, 0, 0] = np.nan, np.inf, -np.inf
    (got,) = call_kernel("rows", "mindveil_scaled", [x, w], [(2, 3, 40)])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(got, np.nan_to_num(x * w[:, None], nan=0, posinf=0, neginf=0))


def test_finite_clears_what_is_not_finite() -> None:
    x = draw(90)
    x[[0, 41, 89]] = np.nan, np.inf, -np.inf
    (got,) = call_kernel("rows", "mindveil_finite", [x], [(90,)])
    np.testing.assert_array_equal(got, np.nan_to_num(x, nan=0, posinf=0, neginf=0))


@pytest.mark.parametrize("size", SIZES)
def test_weighted_is_the_weighted_sum_of_finite_rows(size: int) -> None:
    x, w = draw(5, size), np.array([0.5, 0.0, 1.0, 0.25, 1.0], np.float32)
    x[1, size // 2] = np.nan
    (got,) = call_kernel("rows", "mindveil_weighted", [w, x], [(1, size)])
    wanted = w.astype(np.float64) @ np.nan_to_num(x)
    np.testing.assert_allclose(got[0], wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "inputs", "output"),
    [
        ("mindveil_squares", [draw(3, 4)], (4, 1)),
        ("mindveil_squares", [draw(3, 4, 2)], (3, 1)),
        ("mindveil_sums", [draw(3, 4, 2)], (3, 4)),
        ("mindveil_scaled", [draw(2, 3, 4), draw(2)], (2, 3, 4)),
        ("mindveil_finite", [draw(3)], (4,)),
        ("mindveil_weighted", [draw(2), draw(3, 4)], (1, 4)),
        ("mindveil_finite", [draw(3).astype(np.float64)], (3,)),
    ],
)
def test_wrong_arguments_are_refused(function: str, inputs: list[Floats], output: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match=r"returned [12]"):
        call_kernel("rows", function, inputs, [output])
