"""Subtracting an example's own means, never those of a batch."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from mindveil.runtime.bound_marker import MindveilBound
from mindveil.runtime.lipdp.rules import DPLayer, Shape

__all__ = ["DP_LayerCentering"]


class DP_LayerCentering(DPLayer):
    """Subtracts the mean over axes of the example: an orthogonal projection, so that both norms can only fall.

    Images: over channels (``channelwise``, the default), over positions (``pixelwise``), or over all (neither). Tokens
    ``[T, features]``: over tokens. A vector: over its features. The batch axis is never among them; the original
    averages over it for all but images, which makes examples depend on each other, so that no bound exists.
    """

    def __init__(
        self,
        pixelwise: bool = False,
        channelwise: bool = True,
        scale: bool = False,
        center: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__()
        if scale or not center:
            raise ValueError("DP_LayerCentering only centers: leave scale=False and center=True")
        self.pixelwise, self.channelwise = pixelwise, channelwise

    def build(self, shape: Shape) -> Shape:
        """Raises: ValueError: an image would be averaged over a single value."""
        if len(shape) == 3 and self.channelwise and self.pixelwise:
            raise ValueError("channelwise and pixelwise together average over a single value: choose one of them")
        self.center = _Center(self._axes(len(shape)))
        return shape

    def _axes(self, rank: int) -> tuple[int, ...]:
        if rank != 3:
            return tuple(range(1, rank)) or (1,)
        if self.channelwise:
            return (1,)
        return (2, 3) if self.pixelwise else (1, 2, 3)

    def construct(self, x: Tensor) -> Tensor:
        """The same shape."""
        return self.center(x)


class _Center(nn.Cell):
    """``x`` without its mean over ``axes``; symmetric, so that the way back is the same."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes
        self.mean = ops.ReduceMean(keep_dims=True)
        self.states_bounds = False
        self.stated = MindveilBound(1.0, 0.0)

    def construct(self, x: Tensor) -> Tensor:
        y = x - self.mean(x, self.axes)
        if self.states_bounds:
            y = self.stated(y, x)
        return y

    def bprop(self, x: Tensor, out: Tensor, dy: Tensor) -> tuple[Tensor]:
        dx = dy - self.mean(dy, self.axes)
        if self.states_bounds:
            dx = self.stated(dx, dy)
        return (dx,)
