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
    resampling,
    selection,
    shape,
    trigonometry,
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
    **resampling.RULES,
    **selection.RULES,
    **shape.RULES,
    **trigonometry.RULES,
}

# No gradient passes: steps, whose derivative is zero wherever it exists, and draws of random numbers, which read no
# more than the shape or a probability. (Integers and truth values, such as Shape or Greater give, need no entry.)
ZERO_GRADIENT = frozenset(
    {
        "Ceil",
        "Floor",
        "Round",
        "Sign",
        "Bernoulli",
        "RandomNormalLike",
        "RandomUniformLike",
        "OneHot",
        "ConstantOfShape",
    }
)
