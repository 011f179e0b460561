"""The weights of a batch's rows, which also say whether the logical batch ends with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ExampleWeights"]


class ExampleWeights(np.ndarray[Any, np.dtype[np.float32]]):
    """Weights ``(B,)`` float32 of the rows of one batch, 1 = real example, 0 = padding.

    Attributes:
        last: whether the logical batch ends here; a step releases (noises, updates) only then, and before that sums.
    """

    last: bool

    @classmethod
    def of(cls, values: npt.ArrayLike, *, last: bool = True) -> ExampleWeights:
        """Weights with the given values.

        >>> weights = ExampleWeights.of([1, 1, 0], last=False)
        >>> weights, weights.last
        (ExampleWeights([1., 1., 0.], dtype=float32), False)
        """
        weights = np.array(values, np.float32).view(cls)
        weights.last = last
        return weights

    def __array_finalize__(self, source: Any) -> None:
        self.last = getattr(source, "last", True)

    def __reduce__(self) -> Any:
        # An array's own way of pickling forgets attributes, and a forgotten ``last`` would end the logical batch early.
        return _restored, (np.asarray(self), self.last)


def _restored(values: npt.NDArray[np.float32], last: bool) -> ExampleWeights:
    return ExampleWeights.of(values, last=last)
