"""The original's ways of adding noise by hand, and noise from the operating system's cryptographic source."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from math import hypot
from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mindveil.runtime.lipdp.model import DP_Model

__all__ = ["global_noisify", "local_noisify", "secure_laplace", "secure_normal"]

_WORD = 2.0**-53


def local_noisify(
    model: DP_Model, gradient_bounds: Mapping[str, float], trainable_vars: Sequence[Any], gradients: Sequence[Any]
) -> list[Tensor]:
    """Adds to each gradient noise of its own bound: ``noise_multiplier * nm_coef * bound``.

    At the same multiplier this costs more privacy than `global_noisify`, not less: m parameters are m releases, which
    act as one with ``sigma / sqrt(m)`` where all coefficients are 1. What it can gain is less noise on parameters with
    small bounds at the same epsilon.

    Raises:
        ValueError: a parameter has no bound; nothing was released.
    """
    bounds = _named(gradient_bounds, trainable_vars)
    coefficients = {name: model.coefficients()[name] for name in bounds}
    multiplier = model.dp_parameters.noise_multiplier
    return _noised({name: multiplier * coefficients[name] * bound for name, bound in bounds.items()}, gradients)


def global_noisify(
    model: DP_Model, gradient_bounds: Mapping[str, float], trainable_vars: Sequence[Any], gradients: Sequence[Any]
) -> list[Tensor]:
    """Adds to every gradient the noise of all together: ``noise_multiplier * sqrt(sum of squared bounds)``.

    Raises:
        ValueError: a parameter has no bound; nothing was released.
    """
    bounds = _named(gradient_bounds, trainable_vars)
    multiplier = model.dp_parameters.noise_multiplier
    return _noised(dict.fromkeys(bounds, multiplier * hypot(*bounds.values())), gradients)


def secure_normal(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Independent standard normal numbers from ``os.urandom``, by the Box-Muller transform in float64."""
    count = int(np.prod(shape, dtype=np.int64))
    pairs = (count + 1) // 2
    radius = np.sqrt(-2 * np.log(_uniform(pairs)))
    angle = 2 * np.pi * _uniform(pairs)
    both = np.empty((2, pairs), np.float64)
    both[0], both[1] = radius * np.cos(angle), radius * np.sin(angle)
    return both.reshape(-1)[:count].reshape(shape)


def secure_laplace(scale: float, count: int) -> NDArray[np.float64]:
    """Independent Laplace numbers from ``os.urandom``: the difference of two exponential ones."""
    return np.asarray(scale * (np.log(_uniform(count)) - np.log(_uniform(count))))


def _uniform(count: int) -> NDArray[np.float64]:
    """In (0, 1]: multiples of 2^-53, without 0."""
    words = np.frombuffer(os.urandom(8 * count), np.uint64) >> np.uint64(11)
    return np.asarray((words.astype(np.float64) + 1) * _WORD)


def _named(bounds: Mapping[str, float], variables: Sequence[Any]) -> dict[str, float]:
    missing = [v.name for v in variables if v.name not in bounds]
    if missing:
        raise ValueError(f"no bound is known for the gradient of {', '.join(missing)}; it cannot be released")
    return {v.name: float(bounds[v.name]) for v in variables}


def _noised(stds: Mapping[str, float], gradients: Sequence[Any]) -> list[Tensor]:
    if len(stds) != len(gradients):
        raise ValueError(f"{len(gradients)} gradients for {len(stds)} parameters: give one for each, in the same order")
    noised = []
    for std, gradient in zip(stds.values(), gradients, strict=True):
        exact = gradient.asnumpy().astype(np.float64)
        noised.append(Tensor((exact + std * secure_normal(exact.shape)).astype(np.float32)))
    return noised
