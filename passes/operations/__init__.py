"""The one table of operations that every pass reads: how examples pass through, and what has an effect.

Adding an operation is one entry in the file of its family and one case in ``tests/passes``. An operation without an
entry is refused, never assumed safe.
"""

from mindveil.passes.operations.convolution import CONVOLUTION
from mindveil.passes.operations.pointwise import POINTWISE
from mindveil.passes.operations.product import PRODUCT
from mindveil.passes.operations.randomness import RANDOMNESS
from mindveil.passes.operations.reduction import REDUCTION
from mindveil.passes.operations.shape import SHAPE
from mindveil.passes.operations.table import Operation
from mindveil.passes.operations.update import UPDATE

__all__ = ["OPERATIONS", "Operation"]

OPERATIONS: dict[str, Operation] = {
    **SHAPE,
    **POINTWISE,
    **PRODUCT,
    **CONVOLUTION,
    **REDUCTION,
    **RANDOMNESS,
    **UPDATE,
}
