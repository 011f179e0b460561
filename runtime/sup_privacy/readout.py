"""Measures how sparse layers are, by their masks and by their weights, and writes it to the log."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from mindspore import nn

from mindveil.runtime.log import LogUtil
from mindveil.runtime.sup_privacy.layers import Layer, find

__all__ = ["actual", "of_layer", "theoretical"]

TAG = "SuppressCtrl"
#: Magnitudes up to this one count as zero.
ZERO = 1e-7


def theoretical(layers: Iterable[Layer]) -> tuple[float, ...]:
    """Suppressed share of all masked convolutions together, then of each, by their masks; 0 where there are none."""
    found = [(layer.name, ~layer.kept()) for layer in layers if layer.convolution]
    return _shares("theoretical", [n for n, _ in found], [zeros for _, zeros in found])


def actual(layers: Iterable[Layer], network: nn.Cell) -> tuple[float, ...]:
    """The same by the weights of a network with these layers."""
    names = [layer.name for layer in layers if layer.convolution]
    return _shares("actual", names, [_zeros(network, name) for name in names])


def of_layer(network: nn.Cell, layer_name: str) -> float:
    """Share of zero weights in one layer of a network.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: there is no such layer.
    """
    if not isinstance(layer_name, str):
        raise TypeError(f"layer_name is {layer_name!r}, and must be a string, the name of a parameter")
    return _shares("actual", [layer_name], [_zeros(network, layer_name)])[0]


def _zeros(network: nn.Cell, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray(np.abs(find(network, name).asnumpy()) <= ZERO)


def _shares(
    kind: str, names: list[str], zeros: list[np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]
) -> tuple[float, ...]:
    size = sum(z.size for z in zeros)
    total = sum(int(z.sum()) for z in zeros) / size if size else 0.0
    each = [float(z.mean()) for z in zeros]
    shown = ", ".join(f"{name} {share:.6f}" for name, share in zip(names, each, strict=True))
    LogUtil.get_instance().info(TAG, "%s sparsity %.6f (%s)", kind, total, shown)
    return (total, *each)
