"""Operations with an effect: optimizer updates, assignments, reads of state, and the order between them."""

from __future__ import annotations

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import Operation, View
from mindveil.passes.privacy import Many, Privacy, Public

__all__ = ["UPDATE", "is_update"]


def _first(view: View, node: Node) -> Privacy:
    """Depend and Load hand their first input on; the rest only orders."""
    return view.types[node.inputs[0]]


def _after(view: View, node: Node) -> Privacy:
    """What stands in memory after an update, or an order of effects: the check refuses what is not free before it."""
    return Public()


def _marker(view: View, node: Node) -> Privacy:
    """The marker hands the gradients on, and a zero that a pass may put a count for; it releases nothing by itself."""
    group = view.types[node.inputs[0]]
    return Many((*(group.parts if isinstance(group, Many) else (group,)), Public()))


_UPDATE = Operation(_after, effect="state")
_OPTIMIZERS = [
    "ApplyMomentum",
    "SGD",
    "Adam",
    "AdamWeightDecay",
    "FusedAdamWeightDecay",
    "ApplyAdam",
    "ApplyAdamWithAmsgradV2",
    "ApplyAdaMax",
    "ApplyRMSProp",
    "ApplyCenteredRMSProp",
    "ApplyAdagrad",
    "ApplyAdagradV2",
    "ApplyAdadelta",
    "ApplyFtrl",
    "ApplyProximalAdagrad",
    "ApplyProximalGradientDescent",
    "ApplyGradientDescent",
    "ApplyAddSign",
    "ApplyPowerSign",
    "FusedSparseAdam",
    "LARSUpdate",
    "Assign",
    "AssignAdd",
    "AssignSub",
    "InplaceAddExt",
    "InplaceCopy",
    "InplaceAddsExt",
]

UPDATE: dict[str, Operation] = {
    **{name: _UPDATE for name in _OPTIMIZERS},
    "Load": Operation(_first),
    "Depend": Operation(_first),
    "UpdateState": Operation(_after, effect="state"),
    "Return": Operation(_first),
    "MindveilStep": Operation(_marker, effect="state"),
}


def is_update(node: Node) -> bool:
    """Whether the operation writes memory that outlives the step.

    MindSpore says so in an attribute; the table is the second witness, so that an update by another name is one too.
    """
    if node.op in ("UpdateState", "Load", "MindveilStep"):
        return False
    side_effect = node.attrs.get("side_effect_mem") is True
    return side_effect or (node.op in UPDATE and UPDATE[node.op].effect == "state")
