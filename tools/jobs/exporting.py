"""Exports trained models, verified on real images, with their cards; and saves their checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindveil.runtime.datasets import ImageData
from mindveil.tools.cli.run_folder import RunFolder
from mindveil.tools.exporting.report import ExportReport
from mindveil.tools.jobs.progress import Progress
from mindveil.tools.jobs.training import Trained

__all__ = ["export_models", "sha256_of"]

VERIFY_ON = 64


def export_models(
    trained: Mapping[str, Trained], data: ImageData, folder: RunFolder, progress: Progress, *, keep: Sequence[str] = ()
) -> dict[str, ExportReport]:
    """``<name>.onnx`` and ``<name>.ckpt`` for each model.

    Args:
        keep: values that must stay in the file because an attack starts from them.

    Raises:
        VerificationError: onnxruntime and MindSpore disagree on real images.
    """
    from mindveil.tools import export

    progress.begin("export", len(trained))
    reports = {}
    samples = data.test_images[:VERIFY_ON]
    for name, model in trained.items():
        with folder.new_file(f"{name}.onnx") as path:
            reports[name] = export(
                model.network, path, inputs=(1, *samples.shape[1:]), card=model.card, samples=samples, keep=keep
            )
        with folder.new_file(f"{name}.ckpt") as path:
            _save(model.network, path)
        progress.advance(f"{name}: {reports[name].bytes:,} bytes, difference {reports[name].max_difference:.1e}")
    return reports


def sha256_of(path: Path) -> str:
    """The hash that the report names a file by."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _save(network: Any, path: Path) -> None:
    import mindspore as ms

    ms.save_checkpoint(network, str(path))
