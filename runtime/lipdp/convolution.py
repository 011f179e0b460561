"""Convolutions whose kernel is projected so that they are 1-Lipschitz whatever the padding."""

from __future__ import annotations

from math import ceil, sqrt
from typing import Any

from mindspore import Parameter, Tensor, ops

from mindveil.passes.operations.patches import overlap
from mindveil.runtime.lipdp.rules import Bound, DPLayer, Norms, Shape, refuse_bias
from mindveil.runtime.spectral import orthonormal, spectral_bound, spectral_project

__all__ = ["DP_QuickSpectralConv2D", "DP_SpectralConv2D", "pair"]


class DP_QuickSpectralConv2D(DPLayer):
    """A convolution whose kernel, as a matrix ``[filters, C kh kw]``, has a spectral norm of ``1 / sqrt(ov)`` at most.

    ``ov`` is the largest number of windows that cover one pixel. Cutting the input into windows multiplies its norm by
    ``sqrt(ov)`` at most, with equality for a pixel that so many windows cover. Rules, with s the norm of the reshaped
    kernel: input ``sqrt(ov) s X``, cotangent ``sqrt(ov) s G``, parameter ``sqrt(ov) X G``.

    Args:
        filters, kernel_size, strides, padding (``valid`` or ``same``), dilation_rate, groups: as in Keras.
        use_bias: must be False.
        kernel_initializer: ``orthogonal`` or ``identity``.
        orthogonal: draws all singular values to the bound; False only scales.
        nm_coef: the layer's share of noise under ``per-layer``.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = 1,
        padding: str = "valid",
        dilation_rate: int | tuple[int, int] = 1,
        groups: int = 1,
        use_bias: bool = False,
        kernel_initializer: str = "orthogonal",
        orthogonal: bool = True,
        nm_coef: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__()
        refuse_bias(type(self).__name__, use_bias)
        if padding not in ("valid", "same"):
            raise ValueError(f"padding is {padding!r}, and must be 'valid' or 'same'")
        self.filters = filters
        self.kernel_size, self.strides = pair(kernel_size), pair(strides)
        self.padding, self.dilation_rate, self.groups = padding, pair(dilation_rate), groups
        self.kernel_initializer = kernel_initializer
        self.orthogonal = orthogonal
        self.nm_coef = nm_coef
        self.convolve = ops.Conv2D(
            out_channel=filters,
            kernel_size=self.kernel_size,
            pad_mode=padding,
            stride=self.strides,
            dilation=self.dilation_rate,
            group=groups,
        )

    def build(self, shape: Shape) -> Shape:
        """Makes the kernel ``[filters, C / groups, kh, kw]``.

        Raises:
            ValueError: the input is no image, or smaller than the kernel.
        """
        if len(shape) != 3:
            raise ValueError(f"a convolution takes images [C, H, W], got {tuple(shape)}")
        self.input_shape = tuple(int(n) for n in shape)
        outside = tuple(self._extent(axis) for axis in (0, 1))
        if min(outside) < 1:
            raise ValueError(f"the kernel {self.kernel_size} does not fit into {tuple(shape)}")
        self.overlap = overlap(self.kernel_size, self.strides, self.dilation_rate, outside)
        kernel = (self.filters, shape[0] // self.groups, *self.kernel_size)
        columns = kernel[1] * kernel[2] * kernel[3]
        first = orthonormal(self.filters, columns, self.kernel_initializer) / sqrt(self.overlap)
        self.weight = Parameter(Tensor(first.reshape(kernel)), name="weight")
        self.project()
        return (self.filters, *outside)

    def _extent(self, axis: int) -> int:
        extent, stride = self.input_shape[axis + 1], self.strides[axis]
        covered = self.dilation_rate[axis] * (self.kernel_size[axis] - 1) + 1
        return ceil(extent / stride) if self.padding == "same" else (extent - covered) // stride + 1

    def construct(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, filters, H', W']``."""
        return self.convolve(x, self.weight)

    def propagate_inputs(self, input_bound: Bound, norms: Norms = "static") -> Bound:
        """``sqrt(ov) s X``."""
        return self._norm(norms) * input_bound

    def backpropagate_inputs(self, input_bound: Bound, gradient_bound: Bound, norms: Norms = "static") -> Bound:
        """``sqrt(ov) s G``."""
        return self._norm(norms) * gradient_bound

    def backpropagate_params(self, input_bound: Bound, gradient_bound: Bound) -> float:
        """``sqrt(ov) X G``."""
        return float(sqrt(self.overlap) * input_bound * gradient_bound)

    def has_parameters(self) -> bool:
        """True."""
        return True

    def parameter(self) -> Any:
        """The kernel."""
        return self.weight

    def project(self) -> None:
        """Norm of the reshaped kernel at most ``1 / sqrt(ov)``, just below it for the rounding of the root."""
        kernel = self.weight.asnumpy()
        radius = (1 - 2.0**-50) / sqrt(self.overlap)
        flat = spectral_project(kernel.reshape(len(kernel), -1), radius, orthogonal=self.orthogonal)
        self.weight.set_data(Tensor(flat.reshape(kernel.shape)))

    def certified(self) -> dict[str, float]:
        """The largest singular value of the kernel reshaped to ``[filters, C kh kw]``."""
        kernel = self.weight.asnumpy()
        return {self.weight.name: spectral_bound(kernel.reshape(len(kernel), -1))}

    def guaranteed(self) -> dict[str, float]:
        """``1 / sqrt(ov)``."""
        return {self.weight.name: 1 / sqrt(self.overlap)}

    def _norm(self, norms: Norms) -> float:
        return 1.0 if norms == "static" else sqrt(self.overlap) * self.certified()[self.weight.name]


class DP_SpectralConv2D(DP_QuickSpectralConv2D):
    """The same layer, padded by default: projected, where the original differentiates through a re-parametrisation."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = 1,
        padding: str = "same",
        use_bias: bool = False,
        kernel_initializer: str = "orthogonal",
        nm_coef: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            nm_coef=nm_coef,
        )


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width.

    >>> pair(3)
    (3, 3)
    """
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
