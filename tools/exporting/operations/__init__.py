"""The table of translations: MindSpore's name of an operation, and the function that writes it in ONNX operators."""

from __future__ import annotations

from mindveil.tools.exporting.call import Translation
from mindveil.tools.exporting.operations import (
    activation,
    arithmetic,
    convolution,
    indexing,
    normalisation,
    pooling,
    products,
    recurrent,
    reduction,
    resampling,
    shape,
)

__all__ = ["TABLE"]

FAMILIES = (
    *(products, convolution, recurrent, normalisation, pooling, activation),
    *(arithmetic, reduction, shape, resampling, indexing),
)

TABLE: dict[str, Translation] = {
    name: translation for family in FAMILIES for name, translation in family.TRANSLATIONS.items()
}
