"""The table of translations: MindSpore's name of an operation, and the function that writes it in ONNX operators."""

from __future__ import annotations

from mindveil.tools.exporting.call import Translation
from mindveil.tools.exporting.operations import activation, convolution, pooling, products, shape

__all__ = ["TABLE"]

TABLE: dict[str, Translation] = {
    name: translation
    for family in (products, convolution, pooling, activation, shape)
    for name, translation in family.TRANSLATIONS.items()
}
