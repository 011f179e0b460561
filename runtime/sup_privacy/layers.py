"""Finds the parameters that the descriptions of layers mean, and holds each with its mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn
from numpy.typing import NDArray

from mindveil.runtime.sup_privacy.choose import LARGE_LAYER
from mindveil.runtime.sup_privacy.describe import MaskLayerDes
from mindveil.runtime.suppress import all_kept

__all__ = ["Layer", "find", "resolve"]

_DIMENSIONS = {"filter": 3, "neuron": 2}


@dataclass(frozen=True, slots=True)
class Layer:
    """A described layer: its parameter, its mask (1 = kept), and its position among the trained parameters."""

    description: MaskLayerDes
    parameter: Parameter
    mask: Parameter
    position: int

    @property
    def name(self) -> str:
        """The parameter's name."""
        return str(self.parameter.name)

    @property
    def size(self) -> int:
        """Number of weights."""
        return int(self.parameter.size)

    @property
    def convolution(self) -> bool:
        """Whether this is the weight of a convolution."""
        return int(self.parameter.ndim) >= _DIMENSIONS["filter"]

    @property
    def masked_only(self) -> bool:
        """Whether noise, lower clip and upper bound do not apply."""
        return self.size > LARGE_LAYER or self.description.structure != "weight"

    def weights(self) -> NDArray[Any]:
        """The weights, flat."""
        return np.asarray(self.parameter.asnumpy()).reshape(-1)

    def kept(self) -> NDArray[np.bool_]:
        """True = kept, flat."""
        return np.asarray(self.mask.asnumpy() > 0).reshape(-1)

    def put(self, weights: NDArray[Any], kept: NDArray[np.bool_]) -> None:
        """Sets weights and mask from flat arrays."""
        shape = tuple(self.parameter.shape)
        self.parameter.set_data(Tensor(weights.reshape(shape).astype(self.parameter.asnumpy().dtype)))
        self.mask.set_data(Tensor(kept.reshape(shape).astype(np.float32)))


def resolve(network: nn.Cell, descriptions: Sequence[MaskLayerDes]) -> tuple[Layer, ...]:
    """The described layers, in the order of the network.

    Raises:
        ValueError: a name means no parameter, several, or one that another description means too; or ``grad_idx`` is
            the position of another parameter.
    """
    trained = {str(p.name): p for p in network.trainable_params()}
    layers: dict[str, Layer] = {}
    for description in descriptions:
        name = _name(description.layer_name, list(trained))
        if name in layers:
            raise ValueError(f"{name} is described twice; describe each layer once")
        _check_position(description, name, list(trained))
        _check_structure(description, trained[name])
        position = list(trained).index(name)
        layers[name] = Layer(description, trained[name], all_kept(trained[name]), position)
    return tuple(sorted(layers.values(), key=lambda layer: layer.position))


def find(network: nn.Cell, name: str) -> Parameter:
    """The parameter of that name, in a network that may be wrapped in others.

    Raises:
        TypeError: the network is no Cell.
        ValueError: it has no such parameter, or several.
    """
    if not isinstance(network, nn.Cell):
        raise TypeError(f"networks is {type(network).__name__}, and must be a Cell")
    parameters = {str(p.name): p for p in network.get_parameters()}
    if name in parameters:
        return parameters[name]
    return parameters[_name(name, list(parameters))]


def _name(wanted: str, names: list[str]) -> str:
    if wanted in names:
        return wanted
    matches = [n for n in names if wanted in n]
    if len(matches) != 1:
        found = f"it is part of {', '.join(matches)}" if matches else f"there are {', '.join(names)}"
        raise ValueError(f"layer_name {wanted!r} must be the name of one parameter, but {found}")
    return matches[0]


def _check_position(description: MaskLayerDes, name: str, names: list[str]) -> None:
    position, given = names.index(name), description.grad_idx
    if given != position:
        there = f"that of {names[given]}" if given < len(names) else f"beyond the last, {len(names) - 1}"
        raise ValueError(f"grad_idx of {name} is {given}, which is {there}; {name} has grad_idx {position}")


def _check_structure(description: MaskLayerDes, parameter: Parameter) -> None:
    needed, dimensions = _DIMENSIONS.get(description.structure), int(parameter.ndim)
    if needed is not None and not (dimensions == needed or dimensions > needed > 2):
        raise ValueError(
            f"structure of {parameter.name} is {description.structure!r}, but it has {dimensions} dimensions: 'filter' "
            "is for convolutions, 'neuron' for dense layers"
        )
