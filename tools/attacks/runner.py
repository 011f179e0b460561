"""Runs an exported model under onnxruntime: one session, a set number of threads, batches of a set size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto, helper

from mindveil.tools.gradients.forward import load_model

__all__ = ["ModelRunner", "feature_names", "session"]

CHUNK = 250  # rows a run: larger batches leave the processor's caches and take longer for each row
# Values that move or repeat other values; offering them as features would only repeat names.
_NOT_FEATURES = frozenset({"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Cast", "Dropout"})


def session(model: ModelProto, threads: int = 1) -> onnxruntime.InferenceSession:
    """An onnxruntime session on the processor with ``threads`` threads, silent about what it optimises."""
    if threads < 1:
        raise ValueError(f"threads is {threads}, and must be at least 1")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def feature_names(model: str | PathLike[str] | ModelProto) -> tuple[str, ...]:
    """The values of the graph that an attack can start from, in the order in which they are computed.

    These are the results of all nodes that depend on the input and compute something, as opposed to moving elements.
    """
    graph = load_model(model).graph
    stored = {tensor.name for tensor in graph.initializer}
    varying = {value.name for value in graph.input} - stored
    names: list[str] = []
    for node in graph.node:
        if any(name in varying for name in node.input):
            varying.update(node.output)
            if node.op_type not in _NOT_FEATURES:
                names.append(node.output[0])
    return tuple(names)


@dataclass(frozen=True, slots=True)
class ModelRunner:
    """One value of an exported model as a function of its image input."""

    session: onnxruntime.InferenceSession
    input: str
    output: str

    @classmethod
    def of(cls, model: str | PathLike[str] | ModelProto, output: str | None = None, *, threads: int = 1) -> ModelRunner:
        """A runner for ``output``, by default the first graph output.

        Raises:
            ValueError: the graph has no such value, or not exactly one input; the message lists the candidates.
        """
        loaded = ModelProto()
        loaded.CopyFrom(load_model(model))
        name = output or loaded.graph.output[0].name
        produced = {item for node in loaded.graph.node for item in node.output}
        if name not in produced:
            raise ValueError(f"the model has no value {name!r}; values to choose: {', '.join(feature_names(loaded))}")
        del loaded.graph.output[:]
        loaded.graph.output.append(helper.make_empty_tensor_value_info(name))
        return cls(session(loaded, threads), only_input(loaded).name, name)

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """The value for each image, in chunks: (N, C, H, W) to (N, ...)."""
        rows = np.ascontiguousarray(images, np.float32)
        parts = [
            self.session.run([self.output], {self.input: rows[start : start + CHUNK]})[0]
            for start in range(0, len(rows), CHUNK)
        ]
        result: NDArray[np.float32] = np.concatenate(parts)
        return result


def only_input(model: ModelProto) -> ValueInfoProto:
    """The one graph input that is not an initializer.

    Raises:
        ValueError: there are none or several.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs: Sequence[ValueInfoProto] = [value for value in model.graph.input if value.name not in stored]
    if len(inputs) != 1:
        listed = ", ".join(value.name for value in inputs)
        raise ValueError(f"the model has {len(inputs)} inputs ({listed}); an attack on images needs exactly one")
    return inputs[0]
