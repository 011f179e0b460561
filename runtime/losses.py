"""Makes any loss give one value for each example, whatever reduction it was made with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from mindspore import Tensor, nn, ops
from mindspore.ops import constexpr
from mindspore.ops._vmap.vmap_base import vmap_general_preprocess, vmap_rules_getters

__all__ = ["example_losses"]

LossFn = Callable[[Tensor, Tensor], Tensor]


def example_losses(loss_fn: LossFn) -> LossFn:
    """A function of (outputs, labels) that returns the losses ``[B]`` of the examples.

    A loss Cell is copied with its reduction switched off; the user's own stays as it is. What a loss returns for each
    example may have further dimensions (a pixel, a token): their sum is taken for a loss made with ``sum``, their mean
    for any other.

    A function, or a Cell of the user's own, that returns one number for the whole batch is evaluated for each row by
    itself, as a batch of one. Where MindSpore cannot vectorise one of its operations, the graph passes refuse the step.
    """
    if isinstance(loss_fn, nn.Cell):
        reduction = _reduction(loss_fn)
        return _Reduced(_without_reduction(loss_fn), by_mean=reduction != "sum")
    return _Reduced(loss_fn, by_mean=True)


class _Reduced(nn.Cell):
    """The inner loss, with all dimensions but the first reduced.

    A loss that gives one number for the whole batch is asked for each row by itself, by vectorisation over the rows: a
    mean, a sum, or a mean with weights of one row is that row's loss.
    """

    def __init__(self, loss_fn: LossFn, by_mean: bool) -> None:
        super().__init__(auto_prefix=False)
        self.inner = loss_fn
        self.by_mean = by_mean

    def row(self, output: Tensor, label: Tensor) -> Tensor:
        """The loss of one row."""
        return self.inner(ops.expand_dims(output, 0), ops.expand_dims(label, 0))

    def construct(self, outputs: Tensor, labels: Tensor) -> Tensor:
        loss = self.inner(outputs, labels)
        if loss.ndim == 0:
            loss = ops.vmap(self.row)(outputs, labels)
        if loss.ndim > 1:
            flat = ops.reshape(loss, (loss.shape[0], -1))
            loss = flat.mean(1) if self.by_mean else flat.sum(1)
        return loss


def _sum_by_rows(sum_: Any, axis_size: int) -> Any:
    """How ``x.sum()`` is vectorised: MindSpore 2.10.0 has no rule for it, and would run a loop over slices instead."""

    def rule(x_at: Any, axis_at: Any, keep_at: Any, dtype_at: Any) -> Any:
        unbatched, result = vmap_general_preprocess(sum_, x_at, axis_at, keep_at, dtype_at)
        if unbatched:
            return result
        x, batch = x_at
        rows = ops.moveaxis(x, batch, 0)
        axes = _axes_behind(axis_at[0], ops.rank(x))
        return sum_(rows, axes, keep_at[0], dtype_at[0]), 0

    return rule


@constexpr  # type: ignore[untyped-decorator]
def _axes_behind(axes: Any, rank: int) -> tuple[int, ...]:
    """The axes of one row, counted with the rows in front."""
    if axes is None or axes == ():
        return tuple(range(1, rank))
    given = (axes,) if isinstance(axes, int) else axes
    return tuple(1 + a % (rank - 1) for a in given)


if "SumExt" not in vmap_rules_getters:
    vmap_rules_getters.register("SumExt")(_sum_by_rows)


def _reduction(loss: Any) -> str:
    """``mean``, ``sum`` or ``none``, from the attributes that MindSpore's loss cells keep it in."""
    given = getattr(loss, "reduction", None)
    if isinstance(given, str):
        return given
    if getattr(loss, "reduce", True) is False:
        return "none"
    return "mean" if getattr(loss, "average", True) else "sum"


def _without_reduction(loss: nn.Cell) -> nn.Cell:
    """A copy of a loss Cell that does not reduce."""
    same = copy.deepcopy(loss)  # a shallow copy of a Cell shares its attributes with the original
    # LossBase decides by `reduce` and `average`; other cells hand `reduction` to a functional operation, and some, such
    # as MSELoss, are LossBase with `reduction` besides.
    for name, value in (("reduce", False), ("reduction", "none"), ("reduction_str", "none")):
        if name in vars(same) or hasattr(same, name):
            setattr(same, name, value)
    return same
