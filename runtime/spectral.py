"""Certified upper bounds of spectral norms, and projections that end below one, rounding included."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["frobenius_project", "orthonormal", "spectral_bound", "spectral_project"]

Matrix = NDArray[np.float64]
_UNIT = float(np.finfo(np.float64).eps)
# Below this bound of the largest squared singular value, Bjorck's iteration needs no scaling before it.
_CLOSE = 1.5


def spectral_bound(matrix: NDArray[Any]) -> float:
    """An upper bound of the largest singular value of ``matrix [m, n]``, tight to about 1e-10.

    The eigenvalues of the smaller Gram matrix in float64, plus what rounding can have hidden: at most
    ``n eps ||A||_F^2`` in the products (Higham 2002, section 3.5) and a small multiple of ``k eps`` in the
    eigenvalues, which are backward stable; ten times their sum is added.

    Raises:
        ArithmeticError: the matrix is not finite.

    >>> bool(1.0 <= spectral_bound(np.eye(3)) < 1 + 1e-6)
    True
    """
    wide = _wide(np.asarray(matrix, np.float64))
    return sqrt(_largest(wide @ wide.T, wide))


def spectral_project(matrix: NDArray[Any], radius: float = 1.0, *, orthogonal: bool = True) -> NDArray[np.float32]:
    """A float32 matrix near ``matrix`` whose largest singular value is at most ``radius``, exactly.

    With ``orthogonal`` all singular values are drawn towards ``radius`` by rounds of ``A <- 1.5 A - 0.5 A A^T A``. The
    map ``1.5 s - 0.5 s^3`` never exceeds 1 for s in [0, 2], so that one round suffices for the guarantee where a cheap
    bound says that no singular value was beyond; elsewhere the matrix is divided by its certified norm first. The
    last division covers the rounding to float64 and to float32.

    Raises:
        ArithmeticError: the matrix is not finite.

    Source: Bjorck and Bowie 1971, first-order iteration.
    """
    given = np.asarray(matrix, np.float64) / radius
    wide = _wide(given)
    gram = wide @ wide.T
    largest, rounds = _cheap(gram, wide), 1
    if not largest <= _CLOSE or not orthogonal:
        largest = _largest(gram, wide)
        if largest > 1:
            wide, gram = wide / sqrt(largest), gram / largest
        rounds = 3
    for number in range(rounds if orthogonal else 0):
        gram = gram if number == 0 else wide @ wide.T
        wide = 1.5 * wide - 0.5 * (gram @ wide)
    frobenius = float(np.linalg.norm(wide))
    # Float64: a few products of inner size n; float32: half a unit in the last place of each entry.
    slack = 32 * max(wide.shape) * _UNIT * max(1.0, frobenius) ** 3 + 2.0**-23 * max(1.0, frobenius)
    result = wide if wide.shape == given.shape and given.shape[0] <= given.shape[1] else wide.T
    return np.ascontiguousarray(result * (radius / (1 + slack)), np.float32)


def frobenius_project(matrix: NDArray[Any]) -> NDArray[np.float32]:
    """``matrix`` scaled to a Frobenius norm of 1, or just below after rounding to float32.

    Raises:
        ArithmeticError: the matrix is zero or not finite.
    """
    given = np.asarray(matrix, np.float64)
    norm = float(np.linalg.norm(given))
    if not (np.isfinite(norm) and norm > 0):
        raise ArithmeticError(f"the norm of a weight is {norm}, and must be finite and positive to scale it to 1")
    return np.ascontiguousarray(given / (norm * (1 + 2.0**-22)), np.float32)


def orthonormal(rows: int, columns: int, initializer: str = "orthogonal") -> NDArray[np.float32]:
    """A first weight ``[rows, columns]`` with all singular values 1 (just below), drawn from NumPy's global generator.

    Raises:
        ValueError: ``initializer`` is neither ``orthogonal`` nor ``identity``.
    """
    if initializer == "identity":
        return spectral_project(np.eye(rows, columns))
    if initializer != "orthogonal":
        raise ValueError(f"kernel_initializer is {initializer!r}, and must be 'orthogonal' or 'identity'")
    normal = np.random.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normal)
    q = q * np.sign(np.diag(r))
    return spectral_project(q if rows >= columns else q.T)


def _wide(matrix: Matrix) -> Matrix:
    if not np.isfinite(matrix).all():
        raise ArithmeticError("a weight is not finite, so that no bound of its norm exists")
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T


def _largest(gram: Matrix, wide: Matrix) -> float:
    """An upper bound of the largest squared singular value."""
    hidden = 10 * (max(wide.shape) + len(gram)) * _UNIT * float(np.einsum("ij,ij->", wide, wide))
    return max(0.0, float(np.linalg.eigvalsh(gram)[-1])) + hidden


def _cheap(gram: Matrix, wide: Matrix) -> float:
    """A coarser one: 1 + ||G - I||_F, or the largest row sum of the Gram matrix."""
    hidden = 10 * max(wide.shape) * _UNIT * float(np.trace(gram))
    away = 1 + float(np.linalg.norm(gram - np.eye(len(gram))))
    return min(away, float(np.abs(gram).sum(1).max())) + hidden
