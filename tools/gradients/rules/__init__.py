"""The one table of gradient rules: an ONNX operator's name, and the function that writes its gradient."""

from __future__ import annotations

from mindveil.tools.gradients.call import Rule
from mindveil.tools.gradients.rules import (
    arithmetic,
    convolution,
    normalisation,
    pointwise,
    pooling,
    product,
    reduction,
    shape,
)

__all__ = ["RULES", "ZERO_GRADIENT"]

RULES: dict[str, Rule] = {
    **arithmetic.RULES,
    **convolution.RULES,
    **normalisation.RULES,
    **pointwise.RULES,
    **pooling.RULES,
    **product.RULES,
    **reduction.RULES,
    **shape.RULES,
}

# Steps: their derivative is zero wherever it exists, so no gradient passes. (Results that are integers or truth
# values, such as Shape or Greater, need no entry: their type says it.)
ZERO_GRADIENT = frozenset({"Ceil", "Floor", "Round", "Sign"})
