"""The primitive that states a bound of each example's norm: it has no kernel, so that no unrewritten graph can run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mindspore import nn
from mindspore.ops import PrimitiveWithInfer, prim_attr_register

__all__ = ["MARKED", "MindveilBound", "marking"]

#: The attribute of a Cell that says whether its ``construct`` and ``bprop`` state bounds.
MARKED = "states_bounds"


class MindveilBound(PrimitiveWithInfer):
    """States that for each example i ``||y_i|| <= min(cap, gain * ||x_i|| + offset)``.

    Norms are Euclidean, over all axes but the first. A Cell makes it in ``__init__`` (MindSpore cannot make it within a
    graph), and calls it in ``construct`` and ``bprop`` under ``if self.states_bounds``. The statement is trusted:
    whoever writes it proves it.

    Args:
        gain, offset: constants of the statement, not negative.

    Inputs: ``y [B, ...]``, ``x [B, ...]``, and optionally ``cap``, a float32 scalar; without it there is no cap.
    Output: ``y``.
    """

    @prim_attr_register  # type: ignore[untyped-decorator]
    def __init__(self, gain: float, offset: float) -> None:
        """The decorator stores the arguments as attributes of the node.

        Raises:
            ValueError: a constant is negative or not a number.
        """
        for name, value in (("gain", gain), ("offset", offset)):
            if not value >= 0:
                raise ValueError(f"{name} is {value}, and must be a number that is not negative")

    def infer_shape(self, y: Any, x: Any, *cap: Any) -> Any:
        """The shape of ``y``."""
        return y

    def infer_dtype(self, y: Any, x: Any, *cap: Any) -> Any:
        """The type of ``y``."""
        return y


@contextmanager
def marking(network: nn.Cell, *more: Any) -> Iterator[None]:
    """Within it, the cells of ``network`` (and of other cells, such as a loss) that can state bounds do so.

    Only a training step that a pass will rewrite is compiled within it; evaluation and export are compiled outside, and
    their graphs have no statements.
    """
    cells = [c for root in (network, *more) if isinstance(root, nn.Cell) for _, c in root.cells_and_names()]
    stating = [c for c in cells if hasattr(c, MARKED)]
    for cell in stating:
        setattr(cell, MARKED, True)
    try:
        yield
    finally:
        for cell in stating:
            setattr(cell, MARKED, False)
