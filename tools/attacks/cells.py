"""Lets the attacks take a Cell: it is exported first, so that what is attacked is what would be shipped."""

from __future__ import annotations

import sys
import tempfile
from os import PathLike
from pathlib import Path
from typing import Any

from onnx import ModelProto

from mindveil.tools.gradients.forward import load_model

__all__ = ["is_cell", "model_of"]


def is_cell(value: Any) -> bool:
    """Whether a value is a MindSpore Cell; False where MindSpore is not loaded, since nothing can be one then."""
    module = sys.modules.get("mindspore.nn")
    return module is not None and isinstance(value, module.Cell)


def model_of(model: str | PathLike[str] | ModelProto | Any, input_shape: tuple[int, ...]) -> ModelProto:
    """The model, read from its file, or exported from a Cell that takes ``(B, *input_shape)``.

    Raises:
        UnsupportedModelError: a Cell that cannot be exported.
        TypeError: it is neither a file nor a model nor a Cell.
    """
    if not is_cell(model):
        if not isinstance(model, str | PathLike | ModelProto):
            raise TypeError(f"the model is a {type(model).__name__}; give an ONNX file, a ModelProto, or a Cell")
        return load_model(model)
    from mindveil.tools.exporting.pipeline import export

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "attacked.onnx"
        export(model, path, inputs=(1, *input_shape), optimize="none")
        return load_model(path)
