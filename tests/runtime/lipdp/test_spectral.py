"""Certified norms are never below the true ones, and projections end within the feasible set."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from mindveil.runtime.spectral import frobenius_project, orthonormal, spectral_bound, spectral_project

SHAPES = [(1, 1), (3, 3), (5, 40), (40, 5), (64, 64)]


def largest(matrix: NDArray[Any]) -> float:
    return float(np.linalg.svd(matrix.astype(np.float64), compute_uv=False)[0])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1.0, 1e6])
def test_the_certificate_is_above_the_norm_and_tight(shape: tuple[int, int], scale: float) -> None:
    matrix = np.random.default_rng(0).normal(size=shape) * scale
    assert largest(matrix) <= spectral_bound(matrix) <= largest(matrix) * (1 + 1e-6)


def test_the_certificate_is_above_the_norm_in_fifty_digits() -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        matrix = rng.normal(size=(6, 9)).astype(np.float32)
        with mpmath.workdps(50):
            true = mpmath.svd_r(mpmath.matrix(matrix.tolist()), compute_uv=False)[0]
            assert true <= spectral_bound(matrix)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1e-6, 0.3, 1.0, 1.05, 3.0, 1e4])
@pytest.mark.parametrize("orthogonal", [True, False])
def test_a_projected_matrix_is_feasible_after_rounding(shape: tuple[int, int], scale: float, orthogonal: bool) -> None:
    matrix = np.random.default_rng(2).normal(size=shape) * scale
    projected = spectral_project(matrix, 0.7, orthogonal=orthogonal)
    assert projected.dtype == np.float32
    assert projected.shape == shape
    assert largest(projected) <= 0.7


def test_a_projected_matrix_is_feasible_in_fifty_digits() -> None:
    projected = spectral_project(np.linalg.qr(np.random.default_rng(3).normal(size=(8, 6)))[0])
    with mpmath.workdps(50):
        assert mpmath.svd_r(mpmath.matrix(projected.tolist()), compute_uv=False)[0] <= 1


def test_a_feasible_orthogonal_matrix_stays_and_a_noised_one_comes_back() -> None:
    first = orthonormal(32, 48)
    np.testing.assert_allclose(spectral_project(first), first, atol=2e-6)
    noised = first + 0.01 * np.random.default_rng(4).normal(size=first.shape)
    for _ in range(3):
        noised = spectral_project(noised)
    values = np.linalg.svd(noised.astype(np.float64), compute_uv=False)
    assert 0.999 < values.min() <= values.max() <= 1


def test_a_scaled_matrix_keeps_its_direction() -> None:
    matrix = np.random.default_rng(5).normal(size=(4, 7))
    scaled = spectral_project(matrix, orthogonal=False)
    np.testing.assert_allclose(scaled * largest(matrix), matrix, rtol=1e-5)


def test_the_frobenius_projection_ends_at_one_or_just_below() -> None:
    norm = np.linalg.norm(frobenius_project(np.random.default_rng(6).normal(size=(5, 7)) * 40).astype(np.float64))
    assert 1 - 1e-6 < norm <= 1


@pytest.mark.parametrize("project", [spectral_project, frobenius_project, spectral_bound])
def test_a_weight_that_is_not_finite_is_refused(project: object) -> None:
    with pytest.raises(ArithmeticError, match="finite"):
        project(np.array([[1.0, np.nan]]))  # type: ignore[operator]


def test_first_weights_are_orthonormal_whatever_the_shape() -> None:
    np.testing.assert_allclose(orthonormal(3, 5, "identity"), np.eye(3, 5), atol=1e-6)
    tall = orthonormal(9, 4).astype(np.float64)
    np.testing.assert_allclose(tall.T @ tall, np.eye(4), atol=1e-5)
    with pytest.raises(ValueError, match="must be 'orthogonal' or 'identity'"):
        orthonormal(3, 3, "zeros")
