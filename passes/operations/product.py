"""Products of matrices: the contractions of dense, attention and recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindveil.passes.graph import Node, TensorType
from mindveil.passes.operations.cost import ghost_pays
from mindveil.passes.operations.table import APART, Operation, Place, RefusedError, View
from mindveil.passes.privacy import PerExample, Privacy, Summed, is_free

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
    if any(isinstance(view.types[i], Summed) for i in node.inputs):
        return _product_of_sum(view, node)
    flags, found = _flags(view, node), []
    for i in node.inputs[2:]:
        view.free(i, "bias")
    for side, i in enumerate(node.inputs[:2]):
        if isinstance(view.types[i], PerExample):
            found.append(_side(view, node, side, i, flags[side]))
    if not found:
        raise RefusedError("none of its operands is a tensor of examples")
    if any(f != found[0] for f in found):
        raise RefusedError(APART)
    return Summed() if isinstance(found[0], Place) else found[0]


def _side(view: View, node: Node, side: int, i: int, transposed: bool) -> PerExample | Place:
    """What one operand makes of the product; the place of the examples if they are contracted.

    Both operands must contract the same place: the sums over ``[T, B]`` and ``[B, T]`` rows have the same shapes.
    """
    place, out = view.place(i), len(node.shape)
    rank = len(view.shape(i))
    if rank == 1:
        return Place(0, place.outer, place.inner)
    contracted = rank - (2 if transposed == (side == 0) else 1)
    if place.axis == contracted:
        return Place(0, place.outer, place.inner)
    if len(view.shape(node.inputs[1 - side])) == 1:
        return view.at(node.shape, place.axis - (side == 1 and place.axis == rank - 1), place.outer)
    if place.axis < rank - 2:
        return view.at(node.shape, place.axis + out - rank, place.outer)
    return view.at(node.shape, out - (2 if side == 0 else 1), place.outer)


def _product_of_sum(view: View, node: Node) -> Privacy:
    """A sum over examples times a public matrix: weights that are themselves computed from parameters."""
    kinds = [view.types[i] for i in node.inputs[:2]]
    if not all(isinstance(k, Summed) or is_free(k) for k in kinds) or all(isinstance(k, Summed) for k in kinds):
        raise RefusedError("it multiplies a sum over examples by something that is not public")
    if any(len(view.shape(i)) < 2 for i in node.inputs[:2]):
        raise RefusedError("it multiplies a sum over examples by a vector")
    return Summed()


def _linear(terms: Any, node: Node, parts: list[int], index: int) -> int:
    """Each term times the public matrix; batch dimensions align from the right, behind the examples."""
    view: View = terms.view
    ta, tb = _flags(view, node)
    left = isinstance(view.types[node.inputs[0]], Summed)
    public = terms.tensor(node.inputs[1 if left else 0])
    public = terms.build.reshape(public, (1, *terms.build[public].shape))
    a, b = (parts[0], public) if left else (public, parts[0])
    rank = max(len(terms.build[a].shape), len(terms.build[b].shape))
    return _multiply(terms, _lead(terms, a, rank), _lead(terms, b, rank), ta, tb)


def _operands(terms: Any, node: Node) -> tuple[int, int, bool, bool]:
    """Both operands as ``[B, ..., rows, columns]``; a public one lies as its partner does."""
    view: View = terms.view
    ta, tb = _flags(view, node)
    a, b = node.inputs[:2]
    na, nb = len(view.shape(a)), len(view.shape(b))
    pa = view.place(a) if isinstance(view.types[a], PerExample) else None
    pb = view.place(b) if isinstance(view.types[b], PerExample) else None
    known = pa or pb
    if known is None:
        raise RefusedError("none of its operands is a tensor of examples")
    pa = pa or Place(max(na - (2 if ta else 1), 0), known.outer, known.inner)
    pb = pb or Place(max(nb - (1 if tb else 2), 0), known.outer, known.inner)
    left, right = terms.front(a, pa), terms.front(b, pb)
    if na == 1:
        left = terms.build.reshape(left, (terms.batch, 1, terms.build[left].shape[1]))
    if nb == 1:
        right = terms.build.reshape(right, (terms.batch, terms.build[right].shape[1], 1))
    rank = max(len(terms.build[left].shape), len(terms.build[right].shape))
    return _lead(terms, left, rank), _lead(terms, right, rank), ta, tb


def _multiply(terms: Any, a: int, b: int, ta: bool, tb: bool) -> int:
    """The products of matrices; BatchMatMul does not broadcast on the CPU, MatMulExt does."""
    build = terms.build
    if build[a].shape[:-2] == build[b].shape[:-2]:
        return int(build.matmul(a, b, ta, tb))
    lead = range(len(build[a].shape) - 2)
    swapped = [*lead, len(lead) + 1, len(lead)]
    a, b = build.transpose(a, swapped) if ta else a, build.transpose(b, swapped) if tb else b
    batch = np.broadcast_shapes(build[a].shape[:-2], build[b].shape[:-2])
    type_ = TensorType((*batch, build[a].shape[-2], build[b].shape[-1]), build[a].type.dtype)
    return int(build.op("MatMulExt", [a, b], type_))


def _lead(terms: Any, node: int, rank: int) -> int:
    """Dimensions of 1 behind the examples, so that batch dimensions still align from the right."""
    shape = terms.build[node].shape
    result: int = terms.build.reshape(node, (shape[0], *(1,) * (rank - len(shape)), *shape[1:]))
    return result


def _terms(terms: Any, node: Node, index: int) -> int:
    a, b, ta, tb = _operands(terms, node)
    product = _multiply(terms, a, b, ta, tb)
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
    if rows == 1:
        product: int = terms.build.binary("Mul", terms.squares(a), terms.squares(b))
        return product
    if not ghost_pays(rows, *node.shape, terms.batch):
        return None
    result: int = terms.gram_norm(a, b, rows_first=(ta, not tb))
    return result


def _masked(terms: Any, node: Node, mask: int) -> int | None:
    """With one row an example, ``sum_ij m_ij (a_i b_j)^2`` is a product of matrices: ``(a^2 M) . b^2``."""
    if len(node.shape) != 2:
        return None
    a, b, ta, _ = _operands(terms, node)
    build, (m, n) = terms.build, node.shape
    if build[a].shape[-2 if ta else -1] != 1:
        return None
    squares = [build.unary("Square", build.reshape(s, (terms.batch, size))) for s, size in ((a, m), (b, n))]
    met = build.binary("Mul", build.matmul(squares[0], mask), squares[1])
    result: int = build.total(met, [1], keep=True)
    return result


def _scaled(view: View, node: Node) -> int:
    """The smaller of the per-example operands is weighted."""
    sides = [k for k in (0, 1) if isinstance(view.types[node.inputs[k]], PerExample)]
    return min(sides, key=lambda k: _size(view.shape(node.inputs[k])))


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for d in shape:
        size *= d
    return size


_PRODUCT = Operation(_product, terms=_terms, norm=_norm, masked=_masked, scaled=_scaled, linear=_linear)

PRODUCT: dict[str, Operation] = {
    "MatMul": _PRODUCT,
    "MatMulExt": _PRODUCT,
    "BatchMatMul": _PRODUCT,
    "BatchMatMulExt": _PRODUCT,
    "Dense": Operation(_product),
}
