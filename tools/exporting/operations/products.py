"""Matrix products and their biases."""

from __future__ import annotations

from dataclasses import replace

from mindveil.tools.exporting.call import Call, Translation

__all__ = ["TRANSLATIONS"]


def _matmul(call: Call) -> str:
    """``MatMul(a, b, transpose_a, transpose_b)`` of matrices: a Gemm, which takes the weight as MindSpore stores it."""
    left, right = call.tensor(0), call.tensor(1)
    flip_left, flip_right = _flags(call)
    return call.emit("Gemm", left, right, transA=int(flip_left), transB=int(flip_right))


def _batch_matmul(call: Call) -> str:
    """A product over the last two axes; the others broadcast."""
    flip_left, flip_right = _flags(call)
    left = _transposed(call, 0) if flip_left else call.tensor(0)
    right = _transposed(call, 1) if flip_right else call.tensor(1)
    return call.emit("MatMul", left, right)


def _linear(call: Call) -> str:
    """``Dense(x, weight, bias or None)``: x times the weight's transpose, over the last axis."""
    product = call.emit("MatMul", call.tensor(0), _transposed(call, 1))
    has_bias = len(call.operands) > 2 and isinstance(call.operands[2], str)
    return call.emit("Add", product, call.tensor(2)) if has_bias else product


def _bias_add(call: Call) -> str:
    """Adds one number for each channel (axis 1), inside the product or convolution where that is possible."""
    name, bias = call.tensor(0), call.tensor(1)
    maker = call.emitter.producer(name)
    if (
        maker is not None
        and call.reads == 1
        and maker.op in ("Gemm", "Conv", "ConvTranspose")
        and len(maker.inputs) == 2
    ):
        call.emitter.replace_node(maker, replace(maker, inputs=(*maker.inputs, bias)))
        return name
    rank = len(call.type_of(0).shape)
    if rank == 2:
        return call.emit("Add", name, bias)
    shape = [1, call.type_of(1).shape[0]] + [1] * (rank - 2)
    return call.emit("Add", name, call.emit("Reshape", bias, call.sizes(shape)))


def _flags(call: Call) -> tuple[bool, bool]:
    if len(call.operands) >= 4:
        return bool(call.constant(2)), bool(call.constant(3))
    return bool(call.attribute("transpose_a", False)), bool(call.attribute("transpose_b", False))


def _transposed(call: Call, index: int) -> str:
    rank = len(call.type_of(index).shape)
    order = (*range(rank - 2), rank - 1, rank - 2)
    return call.emit("Transpose", call.tensor(index), perm=order)


TRANSLATIONS: dict[str, Translation] = {
    "MatMul": _matmul,
    "MatMulExt": _batch_matmul,
    "BatchMatMul": _batch_matmul,
    "BatchMatMulExt": _batch_matmul,
    "Dense": _linear,
    "BiasAdd": _bias_add,
}
