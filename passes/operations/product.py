"""Products of matrices, and bias gradients: the contractions of dense, attention and recurrent layers."""

from __future__ import annotations

from typing import Any

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import Operation, Place, Refused, View
from mindveil.passes.privacy import Bounded, PerExample, Privacy, Summed

__all__ = ["PRODUCT"]


def _flags(view: View, node: Node) -> tuple[bool, bool]:
    """Whether the first and the second operand are transposed; MatMulExt has no such flags."""
    if node.op in ("MatMulExt", "BatchMatMulExt"):
        return False, False
    if node.op == "Dense":
        return False, True
    return bool(view.value(node.inputs[2])), bool(view.value(node.inputs[3]))


def _product(view: View, node: Node) -> Privacy:
    """The free dimension of a per-example operand survives; contracted over the examples it becomes their sum."""
    flags, found = _flags(view, node), []
    for side, i in enumerate(node.inputs[:2]):
        kind = view.types[i]
        if isinstance(kind, Summed | Bounded):
            raise Refused(f"it is not linear in {view[i].describe()}, a sum over examples")
        if isinstance(kind, PerExample):
            found.append(_side(view, node, side, i, flags[side]))
    if not found:
        raise Refused("none of its operands is a tensor of examples")
    if any(f != found[0] for f in found):
        raise Refused("its operands hold the examples in different places, so that it combines one with another")
    return found[0]


def _side(view: View, node: Node, side: int, i: int, transposed: bool) -> Privacy:
    place, rank, out = view.place(i), len(view.shape(i)), len(node.shape)
    contracted = rank - (2 if transposed == (side == 0) else 1)
    if place.axis == contracted:
        return Summed()
    if place.axis < rank - 2:
        return view.at(node.shape, place.axis + out - rank, place.outer)
    return view.at(node.shape, out - (2 if side == 0 else 1), place.outer)


def _operands(terms: Any, node: Node) -> tuple[int, int, bool, bool]:
    """Both operands with the examples in front; a public one lies as its partner does."""
    view: View = terms.view
    ta, tb = _flags(view, node)
    a, b = node.inputs[:2]
    na, nb = len(view.shape(a)), len(view.shape(b))
    pa = view.place(a) if isinstance(view.types[a], PerExample) else None
    pb = view.place(b) if isinstance(view.types[b], PerExample) else None
    known = pa or pb
    if known is None:
        raise Refused("none of its operands is a tensor of examples")
    pa = pa or Place(na - (2 if ta else 1), known.outer, known.inner)
    pb = pb or Place(nb - (1 if tb else 2), known.outer, known.inner)
    return terms.front(a, pa), terms.front(b, pb), ta, tb


def _terms(terms: Any, node: Node, index: int) -> int:
    a, b, ta, tb = _operands(terms, node)
    product = terms.build.matmul(a, b, ta, tb)
    result: int = terms.build.reshape(product, (terms.batch, *node.shape))
    return result


def _norm(terms: Any, node: Node) -> int | None:
    """Ghost norms: with T rows an example, sum over t, s of (a_t . a_s)(b_t . b_s); one row needs no Gram matrix.

    Source: Goodfellow 2015 (one row); Li, Tramer, Liang and Hashimoto 2021, section 4 (T rows).
    """
    if len(node.shape) != 2:
        return None
    a, b, ta, tb = _operands(terms, node)
    rows = terms.build[a].shape[-2 if ta else -1]
    m, n = node.shape
    if rows == 1:
        left, right = terms.squares(a), terms.squares(b)
        product: int = terms.build.binary("Mul", left, right)
        return product
    if not ghost_pays(rows, m, n):
        return None
    ga = terms.build.matmul(a, a, not ta, ta)
    gb = terms.build.matmul(b, b, tb, not tb)
    result: int = terms.sum_all(terms.build.binary("Mul", ga, gb))
    # A Gram matrix product can round below zero where the norm is tiny; the norm of a record must not turn NaN.
    result = terms.build.binary("Maximum", result, terms.build.scalar(0.0))
    return result


def ghost_pays(rows: int, m: int, n: int) -> bool:
    """The cost model: Gram matrices take ``2 rows^2 (m + n)`` flops an example, terms ``2 rows m n`` and ``m n`` floats.

    A float written and read again counts as 8 flops.
    """
    gram = 2 * rows * rows * (m + n) + 16 * rows * rows
    made = 2 * rows * m * n + 8 * m * n
    return gram < made


def _scaled(view: View, node: Node) -> int:
    """The smaller of the per-example operands is weighted."""
    sides = [k for k in (0, 1) if isinstance(view.types[node.inputs[k]], PerExample)]
    return min(sides, key=lambda k: _size(view.shape(node.inputs[k])))


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for d in shape:
        size *= d
    return size


def _bias(view: View, node: Node) -> Privacy:
    axis = view.place(node.inputs[0]).axis
    if axis == 1:
        raise Refused("it keeps the axis that holds the examples")
    return Summed()


def _bias_terms(terms: Any, node: Node, index: int) -> int:
    source = node.inputs[0]
    front = terms.front(source, terms.view.place(source))
    rank = len(terms.build[front].shape)
    total = terms.build.total(front, [k for k in range(1, rank) if k != 2])
    result: int = terms.build.reshape(total, (terms.batch, *node.shape))
    return result


_PRODUCT = Operation(_product, terms=_terms, norm=_norm, scaled=_scaled)

PRODUCT: dict[str, Operation] = {
    "MatMul": _PRODUCT,
    "MatMulExt": _PRODUCT,
    "BatchMatMul": _PRODUCT,
    "BatchMatMulExt": _PRODUCT,
    "Dense": Operation(_product),
    "BiasAddGrad": Operation(_bias, terms=_bias_terms, scaled=lambda view, node: 0),
}
