"""Operations with an effect: optimizer updates, assignments, reads of state, and the order between them."""

from __future__ import annotations

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import Operation, View
from mindveil.passes.privacy import Many, Privacy, Public, is_free

__all__ = ["UPDATE", "is_update"]


def _result(view: View, node: Node) -> Privacy:
    """The value after an update is what flowed into it: public where the check finds everything free."""
    kinds = [view.types[i] for i in node.inputs]
    worst = next((k for k in kinds if not is_free(k)), None)
    return worst if worst is not None else Public()


def _first(view: View, node: Node) -> Privacy:
    """Depend and Load hand their first input on; the rest only orders."""
    return view.types[node.inputs[0]]


def _order(view: View, node: Node) -> Privacy:
    return Public()


def _marker(view: View, node: Node) -> Privacy:
    """The marker hands the gradients on, and a zero that a pass may put a count for; it releases nothing by itself."""
    group = view.types[node.inputs[0]]
    return Many((*(group.parts if isinstance(group, Many) else (group,)), Public()))


_UPDATE = Operation(_result, effect="state")
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
    "UpdateState": Operation(_order, effect="state"),
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
