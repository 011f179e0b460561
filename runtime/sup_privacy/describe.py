"""What a user says of a layer that is to be suppressed."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Literal, get_args

__all__ = ["STRUCTURES", "MaskLayerDes", "Structure"]

Structure = Literal["weight", "filter", "neuron"]
STRUCTURES: tuple[str, ...] = get_args(Structure)


@dataclass(frozen=True, slots=True)
class MaskLayerDes:
    """One layer to suppress.

    Attributes:
        layer_name: the name of its parameter, ``"conv1.weight"``; a part of the name will do where only one has it.
        grad_idx: position of the parameter among the trained ones. The name decides; a position that belongs to another
            parameter is an error.
        is_add_noise: each suppress operation takes a number drawn from (-0.1, 0.1) off each kept weight above 0.5. It
            makes no guarantee of any kind.
        is_lower_clip: each suppress operation moves kept weights that are closer to zero than 0.005 out to 0.005.
        min_num: so many weights stay at least; it has no effect where the final sparsity leaves more, and none at all
            when it is negative.
        upper_bound: each suppress operation brings weights of a larger magnitude back to this one (never below 0.10).
        structure: ``weight`` suppresses single weights, ``filter`` whole output channels of a convolution, ``neuron``
            whole outputs of a dense layer, those of the smallest L2 norm first; their number is rounded down.

    Layers of more than 10,000 weights are masked only: noise, lower clip and upper bound do not apply to them, and
    neither do they to filters and neurons.

    >>> MaskLayerDes("conv1.weight", 0, False, True, 10).upper_bound
    1.2

    Raises:
        TypeError, ValueError: an argument is of the wrong type, or out of its range.
    """

    layer_name: str
    grad_idx: int
    is_add_noise: bool
    is_lower_clip: bool
    min_num: int
    upper_bound: float = 1.20
    structure: Structure = field(default="weight", kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.layer_name, str):
            raise TypeError(f"layer_name is {self.layer_name!r}, and must be a string, the name of a parameter")
        for name in ("grad_idx", "min_num"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} is {value!r}, and must be a whole number")
        if self.grad_idx < 0:
            raise ValueError(f"grad_idx is {self.grad_idx}, and must be at least 0")
        for name in ("is_add_noise", "is_lower_clip"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is {getattr(self, name)!r}, and must be True or False")
        if isinstance(self.upper_bound, bool) or not isinstance(self.upper_bound, (int, float)):
            raise TypeError(f"upper_bound is {self.upper_bound!r}, and must be a number")
        if not isfinite(self.upper_bound) or self.upper_bound <= 0:
            raise ValueError(f"upper_bound is {self.upper_bound}, and must be finite and above 0")
        if self.structure not in STRUCTURES:
            raise ValueError(f"structure is {self.structure!r}, and must be one of {', '.join(STRUCTURES)}")
