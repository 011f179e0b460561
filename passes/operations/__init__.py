"""The one table of operations that every pass reads: how examples pass through, and what has an effect.

Adding an operation is one entry in the file of its family and one case in ``tests/passes``. An operation without an
entry is refused, never assumed safe.
"""

from mindveil.passes.operations.bias import BIAS
from mindveil.passes.operations.collective import COLLECTIVE
from mindveil.passes.operations.convolution import CONVOLUTION
from mindveil.passes.operations.embedding import EMBEDDING
from mindveil.passes.operations.loss import LOSS
from mindveil.passes.operations.normalisation import NORMALISATION
from mindveil.passes.operations.pointwise import POINTWISE
from mindveil.passes.operations.product import PRODUCT
from mindveil.passes.operations.randomness import RANDOMNESS
from mindveil.passes.operations.recurrent import RECURRENT
from mindveil.passes.operations.reduction import REDUCTION
from mindveil.passes.operations.shape import SHAPE
from mindveil.passes.operations.slices import SLICES
from mindveil.passes.operations.stated import STATED
from mindveil.passes.operations.table import Operation
from mindveil.passes.operations.update import UPDATE
from mindveil.passes.operations.window import WINDOW

__all__ = ["OPERATIONS", "Operation"]

_FAMILIES: tuple[dict[str, Operation], ...] = (
    SHAPE,
    SLICES,
    POINTWISE,
    WINDOW,
    PRODUCT,
    BIAS,
    CONVOLUTION,
    EMBEDDING,
    NORMALISATION,
    RECURRENT,
    REDUCTION,
    LOSS,
    RANDOMNESS,
    STATED,
    COLLECTIVE,
    UPDATE,
)

OPERATIONS: dict[str, Operation] = {name: entry for family in _FAMILIES for name, entry in family.items()}
