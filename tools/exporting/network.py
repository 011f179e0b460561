"""All that export asks of MindSpore: trace a Cell, read its parameters, run it, load a checkpoint into it."""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mindspore
import numpy as np
from mindspore.train import mind_ir_pb2

from mindveil.tools.exporting.batch import TRACED_BATCHES, join
from mindveil.tools.exporting.mindir import read
from mindveil.tools.exporting.source import SourceGraph, UnsupportedModelError
from mindveil.tools.onnx_passes.graph import Array

__all__ = ["evaluation_mode", "input_names", "load_checkpoint", "parameters", "run", "trace"]

DUMP_FOLDER = "MS_OM_PATH"
COMPILE_ERRORS = (RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError, SyntaxError, LookupError)
"""What MindSpore's compiler raises for code it does not understand."""


def trace(network: Any, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[str]) -> SourceGraph:
    """The network's forward graph, with the batch size as a symbol.

    Args:
        shapes: shape of each input; its first dimension is the batch, whatever number stands there.

    Raises:
        UnsupportedModelError: MindSpore cannot compile the network, or no one graph serves every batch size.
    """
    first, second = (_trace_at(network, shapes, dtypes, rows) for rows in TRACED_BATCHES)
    return join(first, second)


def parameters(network: Any) -> dict[str, Array]:
    """The numbers of every parameter, by its name."""
    return {name: np.array(value.asnumpy()) for name, value in network.parameters_dict().items()}


def run(network: Any, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The network's results for ``inputs``, flattened if they are nested."""
    result = network(*(mindspore.Tensor(array) for array in inputs))
    return tuple(_flatten(result))


def input_names(network: Any, count: int) -> tuple[str, ...]:
    """The names of construct's arguments."""
    names = [
        item.name
        for item in inspect.signature(network.construct).parameters.values()
        if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)
    ]
    return tuple(names[:count]) if len(names) >= count else tuple(f"input_{number}" for number in range(count))


def load_checkpoint(network: Any, path: Path) -> None:
    """Loads a MindSpore checkpoint into the network.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no checkpoint, or lacks a parameter of the network.
    """
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist; give the path of a .ckpt file")
    try:
        values = mindspore.load_checkpoint(str(path))
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a MindSpore checkpoint: {str(error).splitlines()[0]}") from error
    missing, _ = mindspore.load_param_into_net(network, values)
    if missing:
        raise ValueError(f"checkpoint {path} lacks {len(missing)} parameters of the network: {', '.join(missing[:5])}")


@contextmanager
def evaluation_mode(network: Any) -> Iterator[None]:
    """Switches dropout and batch statistics off, and sets every Cell back to what it was afterwards."""
    before = [(cell, cell.training) for _, cell in network.cells_and_names()]
    network.set_train(False)
    try:
        yield
    finally:
        for cell, training in before:
            cell.training = training


def _trace_at(network: Any, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[str], rows: int) -> SourceGraph:
    examples = [
        mindspore.Tensor(np.zeros((rows, *shape[1:]), dtype)) for shape, dtype in zip(shapes, dtypes, strict=True)
    ]
    model = mind_ir_pb2.ModelProto()
    with tempfile.TemporaryDirectory() as folder, _syntax_level_restored(), _dumps_in(folder):
        file = Path(folder) / "network.mindir"
        try:
            mindspore.export(network, *examples, file_name=str(file), file_format="MINDIR")
        except COMPILE_ERRORS as error:
            raise UnsupportedModelError(
                f"MindSpore cannot compile {type(network).__name__} for inputs {[item.shape for item in examples]}: "
                f"{str(error).strip().splitlines()[0]}"
            ) from error
        model.ParseFromString(file.read_bytes())
    return read(model)


@contextmanager
def _syntax_level_restored() -> Iterator[None]:
    """MindSpore's export makes the whole process strict about syntax, and leaves it so when it fails."""
    before = mindspore.get_context("jit_syntax_level")
    try:
        yield
    finally:
        mindspore.set_context(jit_syntax_level=before)


@contextmanager
def _dumps_in(folder: str) -> Iterator[None]:
    """A failed compilation writes its graph to the working directory unless it is told where."""
    before = os.environ.get(DUMP_FOLDER)
    os.environ[DUMP_FOLDER] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ[DUMP_FOLDER]
        else:
            os.environ[DUMP_FOLDER] = before


def _flatten(result: Any) -> list[Array]:
    if isinstance(result, (tuple, list)):
        return [array for item in result for array in _flatten(item)]
    return [np.asarray(result.asnumpy())]


def versions() -> Mapping[str, str]:
    """The version of MindSpore that traced the network."""
    return {"mindspore": str(mindspore.__version__)}
