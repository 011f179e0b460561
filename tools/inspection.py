"""What an exported file says about itself, and what its weights say: the card, the measured sparsity, the interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from mindveil.runtime.card import PrivacyCard
from mindveil.tools.card import LayerSparsity, check_card, masked_sparsity, read_card, read_trace
from mindveil.tools.onnx_passes.compact import VALUES
from mindveil.tools.onnx_passes.constants import fold_constants
from mindveil.tools.onnx_passes.graph import Array, Graph, Value
from mindveil.tools.onnx_passes.protobuf import from_model
from mindveil.tools.onnx_passes.session import run

__all__ = [
    "Inspection",
    "inspect",
    "layer_sparsity",
    "load_model",
    "logical_weights",
    "parameter_count",
    "value_names",
]


@dataclass(frozen=True, slots=True)
class Inspection:
    """An exported file, measured.

    Attributes:
        layers: the trained weights of two or more dimensions.
        sparsity: share of zeros over all of them.
        masked_sparsity: share of zeros over those that have zeros, which is what a card's sparsity means.
        parameters: numbers of the weights and biases, whatever their form of storage.
        bytes: size of the file.
        values: names of the intermediate values that an attack or a reader can cut at, in order.
    """

    path: str
    card: PrivacyCard
    layers: tuple[LayerSparsity, ...]
    sparsity: float
    masked_sparsity: float
    parameters: int
    bytes: int
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    values: tuple[str, ...]
    opset: int
    producer: str
    passes: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def inspect(path: str | Path) -> Inspection:
    """Reads a file that `export` wrote, and checks its card against its weights.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an ONNX model.
        CardError: it has no card (a ValueError too), the graph was changed after export, or the card claims more
            sparsity than the weights have.

    >>> import tempfile
    >>> from mindspore import nn
    >>> from mindveil.tools import export, inspect
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = export(nn.Dense(3, 2), f"{folder}/model.onnx", inputs=(1, 3), optimize="none")
    ...     found = inspect(f"{folder}/model.onnx")
    >>> found.card.mode, found.outputs
    ('public', (Value(name='logits', dtype='float32', shape=('batch', 2)),))
    """
    model = load_model(path)
    card, trace = read_card(model), read_trace(model)
    graph = from_model(model)
    stored = logical_weights(graph, trace.weights)
    layers = layer_sparsity(trace.weights, stored)
    check_card(card, layers)
    return Inspection(
        path=str(path),
        card=card,
        layers=layers,
        sparsity=_total_sparsity(layers),
        masked_sparsity=masked_sparsity(layers),
        parameters=parameter_count(graph, stored),
        bytes=Path(path).stat().st_size,
        inputs=graph.inputs,
        outputs=graph.outputs,
        values=value_names(graph),
        opset=graph.opset,
        producer=f"{model.producer_name} {model.producer_version}",
        passes=trace.passes,
    )


def load_model(path: str | Path) -> onnx.ModelProto:
    """Reads an ONNX file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an ONNX model.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist or is no file; give the path of an .onnx file")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{file} is not an ONNX file: {error}") from error
    if not model.HasField("graph") or not model.opset_import:
        raise ValueError(f"{file} is not an ONNX file: it holds no graph")
    return model


def logical_weights(graph: Graph, names: Mapping[str, Any]) -> dict[str, Array]:
    """The named weights, whether they are stored as they are or are rebuilt by operators at load."""
    stored = {name: graph.weights[name] for name in names if name in graph.weights}
    made = {name for node in graph.nodes for name in node.outputs}
    rebuilt = [name for name in names if name in made]
    if rebuilt:
        constant = _constant_nodes(graph)
        stored.update(run(replace(graph, nodes=constant, inputs=(), shapes={}), {}, outputs=rebuilt))
    return stored


def parameter_count(graph: Graph, weights: Mapping[str, Array]) -> int:
    """The numbers in ``weights`` and in all that is stored besides them (biases, statistics), as floats."""
    others = (array for name, array in graph.weights.items() if name not in weights and name != VALUES)
    return sum(array.size for array in weights.values()) + sum(
        array.size for array in others if array.dtype.kind == "f"
    )


def value_names(graph: Graph) -> tuple[str, ...]:
    """Names of the values that depend on the input, without steps inside an operation."""
    plain = fold_constants(graph)
    return tuple(name for node in plain.nodes for name in node.outputs if name and "/" not in name)


def layer_sparsity(trained: Mapping[str, Mapping[str, Any]], stored: Mapping[str, Array]) -> tuple[LayerSparsity, ...]:
    """One entry for each trained weight; one that was removed whole has no non-zeros left."""
    return tuple(
        LayerSparsity(
            name=name,
            shape=tuple(record["shape"]),
            stored_shape=tuple(stored[name].shape) if name in stored else (),
            nonzeros=int(np.count_nonzero(stored[name])) if name in stored else 0,
        )
        for name, record in trained.items()
    )


def _constant_nodes(graph: Graph) -> tuple[Any, ...]:
    known, found = set(graph.weights), []
    for node in graph.nodes:
        if all(name in known for name in node.inputs if name):
            known.update(node.outputs)
            found.append(node)
    return tuple(found)


def _total_sparsity(layers: tuple[LayerSparsity, ...]) -> float:
    size = sum(layer.size for layer in layers)
    return 1 - sum(layer.nonzeros for layer in layers) / size if size else 0.0


def _lines(item: Inspection) -> list[str]:
    card = item.card
    claim = f"epsilon {card.epsilon:.4g} at delta {card.delta:g}" if card.epsilon is not None else "epsilon: none"
    lines = [
        f"{item.path}: {item.bytes:,} bytes, {item.parameters:,} parameters, opset {item.opset}, {item.producer}",
        f"mode: {card.mode} ({claim})",
    ]
    for label, text in (("neighbouring", card.neighbouring), ("sampling", card.sampling)):
        if text:
            lines.append(f"{label}: {text}")
    lines += [f"warning: {text}" for text in card.warnings]
    if card.noise_reproducible:
        lines.append("warning: the noise was reproducible (a seed was given), so the guarantee does not hold")
    if card.noise_generator == "device":
        lines.append("noise: drawn by the device's own generator, in floating point, not by the keyed kernel")
    lines += [f"{role}: {_interface(values)}" for role, values in (("inputs", item.inputs), ("outputs", item.outputs))]
    lines.append(f"sparsity: {item.sparsity:.4f} of all weights, {item.masked_sparsity:.4f} of the masked ones")
    lines += _table(item.layers)
    lines.append("values: " + ", ".join(item.values))
    return lines


def _interface(values: tuple[Value, ...]) -> str:
    return ", ".join(f"{value.name} {value.dtype}[{', '.join(str(size) for size in value.shape)}]" for value in values)


def _table(layers: tuple[LayerSparsity, ...]) -> list[str]:
    rows = [("weight", "trained", "stored", "non-zero", "sparsity")]
    for layer in layers:
        shape, stored = ("x".join(map(str, size)) or "removed" for size in (layer.shape, layer.stored_shape))
        rows.append((layer.name, shape, stored, f"{layer.nonzeros:,}", f"{layer.sparsity:.4f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [f"  {line.rstrip()}" for line in lines]
