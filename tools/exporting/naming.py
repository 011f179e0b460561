"""How the values of an exported graph get their names.

The rule, which attacks and users rely on:

* a parameter keeps its MindSpore name (``fc1.weight``);
* the value that a layer with parameters makes (bias included) has the layer's name: ``fc1``;
* a value made from one other value appends the operation: ``fc1_relu``, ``conv1_relu_maxpool``;
* a value made from several has the Cell it was made in and the operation: ``layer1.0_add``;
* a name already taken gets ``_2``, ``_3``, ... in the order of execution;
* a name with a slash (``conv1_relu_maxpool/phases``) is a step inside an operation, and may change;
* the network's result is ``logits`` (a second and third result ``output_1``, ``output_2``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["OUTPUT", "layer_of", "output_names", "value_name"]

OUTPUT = "logits"
DIGITS = re.compile(r"\d+")
SHORT = {
    "BiasAdd": "bias",
    "MatMulExt": "matmul",
    "BatchMatMulExt": "batchmatmul",
    "AddExt": "add",
    "SubExt": "sub",
    "SumExt": "sum",
    "MeanExt": "mean",
    "ReduceMean": "mean",
    "ReduceSum": "sum",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "Muls": "mul",
    "Divs": "div",
    "RealDiv": "div",
    "AddScalar": "add",
    "SubScalar": "sub",
    "PowTensorScalar": "pow",
    "LogSoftmaxExt": "logsoftmax",
    "MaxPool3DWithArgmax": "maxpool",
    "AdaptiveAvgPool2D": "adaptiveavgpool",
    "AdaptiveMaxPool2D": "adaptivemaxpool",
    "Conv2D": "conv",
    "Conv2DTranspose": "convtranspose",
    "StridedSlice": "slice",
    "ExpandDims": "unsqueeze",
}


def layer_of(parameter: str) -> str:
    """The layer that owns a parameter: ``block.fc1.weight`` belongs to ``block.fc1``; the network itself is ``""``."""
    return parameter.rpartition(".")[0]


def value_name(op: str, scope: str, sources: Sequence[str], layers: Sequence[str], latest: str = "") -> str:
    """The name wished for an operation's result, before it is made unique.

    Args:
        op: MindSpore's name of the operation.
        scope: its scope, ``Default/fc1-Dense/MatMul-op0``.
        sources: names of the computed values it reads.
        layers: layers of the parameters it reads.
        latest: the layer behind the source that was made last.
    """
    short = SHORT.get(op, op.lower())
    if layers and layers[0]:
        return layers[0]
    if len(sources) == 1:
        return f"{sources[0]}_{short}"
    path = _right_copy(_cell_path(scope), latest)
    return f"{path}_{short}" if path else short


def output_names(count: int) -> tuple[str, ...]:
    """Names of the graph's outputs."""
    return (OUTPUT, *(f"output_{number}" for number in range(1, count)))


def _right_copy(path: str, latest: str) -> str:
    """The Cell that a value was made in.

    MindSpore gives the scope of the first of several equal Cells to all of them; which one it was is read off the layer
    before, if that lies in a Cell whose path differs in numbers only.
    """
    depth = len(path.split("."))
    candidate = ".".join(latest.split(".")[:depth])
    return candidate if DIGITS.sub("", candidate) == DIGITS.sub("", path) else path


def _cell_path(scope: str) -> str:
    """``Default/layer1-SequentialCell/0-Block/Add-op0`` is made in the Cell ``layer1.0``."""
    cells = scope.split("/")[1:-1]
    return ".".join(cell.rpartition("-")[0] or cell for cell in cells)
