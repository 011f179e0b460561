"""The primitive that marks a training step: it has no kernel, so that a step which no pass rewrote cannot run."""

from __future__ import annotations

from typing import Any

from mindspore.common import dtype as mstype
from mindspore.ops import PrimitiveWithInfer, prim_attr_register

__all__ = ["MindveilStep"]


class MindveilStep(PrimitiveWithInfer):
    """Stands between the gradients and the optimizer, and brings all that the passes need into the graph.

    Args:
        token: names the training step, so that the compiler's graph finds the passes that belong to it.
        parameters: names of the trained parameters, in the order of the gradients.
        controls: names of the settings that change at run time.
        masked: names of the parameters that have a mask.

    Inputs: gradients, example weights ``[B]``, controls, masks, accumulators; all but the weights are tuples.
    Output: the gradients, and how many examples had one that is not finite, a scalar; 0 where no pass counts them.
    """

    @prim_attr_register  # type: ignore[untyped-decorator]
    def __init__(self, token: str, parameters: list[str], controls: list[str], masked: list[str]) -> None:
        """The decorator stores the arguments as attributes of the node."""

    def infer_shape(self, gradients: Any, weights: Any, controls: Any, masks: Any, accumulators: Any) -> Any:
        """The shapes of the gradients, and that of a scalar."""
        return (*gradients, [])

    def infer_dtype(self, gradients: Any, weights: Any, controls: Any, masks: Any, accumulators: Any) -> Any:
        """The types of the gradients, and of the count."""
        return (*gradients, mstype.TensorType(mstype.float32))
