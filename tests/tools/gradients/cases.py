"""One or more small graphs for every operator in the table of gradient rules."""

from __future__ import annotations

from .case import Case
from .elementwise_cases import ARITHMETIC, POINTWISE
from .linear_cases import CONVOLUTION, POOLING, PRODUCT
from .structure_cases import NORMALISATION, REDUCTION, SHAPE

CASES: list[Case] = [
    *POINTWISE,
    *ARITHMETIC,
    *PRODUCT,
    *CONVOLUTION,
    *POOLING,
    *NORMALISATION,
    *REDUCTION,
    *SHAPE,
]
