"""The whole way from a network to a verified file with a card."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime

from mindveil import __version__
from mindveil.runtime.card import PrivacyCard
from mindveil.tools.card import ExportTrace, check_card, metadata, seal
from mindveil.tools.exporting.report import ExportReport
from mindveil.tools.exporting.translate import translate
from mindveil.tools.exporting.verify import verify
from mindveil.tools.inspection import layer_sparsity, logical_weights, parameter_count, value_names
from mindveil.tools.onnx_passes.graph import Array, Graph
from mindveil.tools.onnx_passes.pipeline import OPTIMIZE, Optimize, optimise
from mindveil.tools.onnx_passes.protobuf import to_model

__all__ = ["DEFAULT_OPSET", "OPSETS", "export"]

OPSETS = (20, 21, 22)
DEFAULT_OPSET = 20
RANDOM_ROWS = 64

Shape: TypeAlias = tuple[int, ...]


def export(
    network: Any,
    path: str | Path,
    *,
    inputs: Shape | Sequence[Shape],
    optimize: Optimize = "both",
    card: PrivacyCard | None = None,
    checkpoint: str | Path | None = None,
    samples: Array | Sequence[Array] | None = None,
    opset: int = DEFAULT_OPSET,
    keep: Sequence[str] = (),
) -> ExportReport:
    """Writes a MindSpore network as an ONNX file, after comparing the two.

    Args:
        network: the Cell; it is exported in evaluation mode and left in the mode it was in.
        path: the file to write; it appears only once everything has been verified.
        inputs: shape of the input, or a list of shapes; the first dimension is the batch and stays free in the file,
            whatever number stands there.
        optimize: ``none`` (masks folded, nothing else), ``size``, ``speed``, or ``both``.
        card: what was done for privacy; without one the file says *public*, which claims nothing.
        checkpoint: a checkpoint to load into the network first.
        samples: real inputs to verify on, one array or one for each input; random normal numbers otherwise. Needed
            where an input is not float32.
        opset: 20, 21 or 22.
        keep: names of intermediate values that must stay in the file, such as ``conv1_relu``; the passes may otherwise
            merge a batch normalisation into its layer or an activation into the pool behind it.

    Returns:
        What each pass gained, and the differences from MindSpore.

    Guarantee: at batch 1, 7 and 64 no output differs from MindSpore's by more than 1e-4 * max(1, largest |output|);
        otherwise no file appears.

    Raises:
        UnsupportedModelError: operations without a translation, all listed with scope and parameter.
        VerificationError: the file would not compute what the network computes.
        CardError: the card claims more than the weights show.
        ValueError, OSError: wrong arguments; a missing checkpoint; a folder that cannot be written.

    >>> import tempfile
    >>> from mindspore import nn
    >>> from mindveil.tools import export
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = export(nn.Dense(3, 2), f"{folder}/model.onnx", inputs=(1, 3), optimize="none")
    >>> report.parameters, report.max_difference < 1e-6
    (8, True)
    """
    from mindveil.tools.exporting import network as mindspore_side

    target = _target(path)
    shapes = _shapes(inputs)
    _check_options(optimize, opset)
    examples = _examples(samples, shapes)
    if checkpoint is not None:
        mindspore_side.load_checkpoint(network, Path(checkpoint))
    with mindspore_side.evaluation_mode(network):
        source = mindspore_side.trace(
            network, [item.shape for item in examples], [item.dtype.name for item in examples]
        )
        numbers = mindspore_side.parameters(network)
        names = mindspore_side.input_names(network, len(examples))
        traced = translate(source, numbers, names, opset)
        _check_keep(keep, traced)
        graph, steps = optimise(traced, optimize, keep)
        feeds = [value.name for value in graph.inputs]
        differences = verify(
            to_model(graph).SerializeToString(), lambda batch: mindspore_side.run(network, batch), examples, feeds
        )
    trained = _trained_weights(traced)
    stored = logical_weights(graph, trained)
    report = ExportReport(
        path=str(target),
        optimize=optimize,
        bytes=0,
        parameters=parameter_count(graph, stored),
        passes=steps,
        differences=differences,
        values=value_names(graph),
    )
    card = PrivacyCard(mode="public") if card is None else card
    check_card(card, layer_sparsity(trained, stored))
    model = _finished(graph, report, trained, card, mindspore_side.versions())
    return replace(report, bytes=_write(model, target))


def _target(path: str | Path) -> Path:
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder of {target} does not exist; make it first")
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the path of the file to write")
    return target


def _shapes(inputs: Shape | Sequence[Shape]) -> list[Shape]:
    if all(isinstance(size, int) for size in inputs):
        inputs = [inputs]  # type: ignore[list-item]
    shapes = [tuple(shape) for shape in inputs]  # type: ignore[arg-type]
    for shape in shapes:
        if not shape or any(not isinstance(size, int) or size < 1 for size in shape[1:]):
            raise ValueError(f"inputs has the shape {shape}, and wants (batch, ...) with whole numbers above 0")
    if not shapes:
        raise ValueError("inputs is empty, and wants a shape such as (1, 1, 32, 32)")
    return shapes


def _check_options(optimize: str, opset: int) -> None:
    if optimize not in OPTIMIZE:
        raise ValueError(f"optimize is {optimize!r}, and must be one of {', '.join(OPTIMIZE)}")
    if opset not in OPSETS:
        raise ValueError(f"opset is {opset}, and must be one of {', '.join(map(str, OPSETS))}")


def _check_keep(keep: Sequence[str], graph: Graph) -> None:
    values = value_names(graph)
    for name in keep:
        if name not in values:
            raise ValueError(f"keep names {name!r}, which is no value of the network; it has {', '.join(values)}")


def _examples(samples: Array | Sequence[Array] | None, shapes: Sequence[Shape]) -> list[Array]:
    if samples is None:
        rng = np.random.default_rng(0)
        return [rng.normal(size=(RANDOM_ROWS, *shape[1:])).astype(np.float32) for shape in shapes]
    arrays = [samples] if isinstance(samples, np.ndarray) else [np.asarray(array) for array in samples]
    if len(arrays) != len(shapes):
        raise ValueError(f"samples has {len(arrays)} arrays for {len(shapes)} inputs")
    for array, shape in zip(arrays, shapes, strict=True):
        if array.shape[1:] != shape[1:] or len(array) == 0:
            raise ValueError(f"samples has an array of shape {array.shape}, and inputs says (rows, {shape[1:]})")
    return arrays


def _trained_weights(graph: Graph) -> dict[str, dict[str, Any]]:
    """Shape and non-zeros of each trained weight, masks applied."""
    folded, _ = optimise(graph, "none")
    return {
        name: {"shape": list(array.shape), "nonzeros": int(np.count_nonzero(array))}
        for name, array in folded.weights.items()
        if array.dtype.kind == "f" and array.ndim >= 2 and name in graph.weights
    }


def _finished(
    graph: Graph, report: ExportReport, trained: dict[str, Any], card: PrivacyCard, versions: Mapping[str, str]
) -> onnx.ModelProto:
    """The model with card, trace and digest."""
    trace = ExportTrace(
        version=__version__,
        optimize=report.optimize,
        passes=report.records(),
        weights=trained,
        verified={str(rows): gap for rows, gap in report.differences.items()},
        versions={**versions, "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__},
    )
    model = to_model(graph, metadata(card, trace), __version__)
    seal(model)
    return model


def _write(model: onnx.ModelProto, target: Path) -> int:
    """Writes beside the target, then moves it into place, so that no half-written file is ever seen."""
    data = model.SerializeToString(deterministic=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)
    return len(data)
