"""``mindveil export``: a checkpoint as a verified ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindveil.tools.cli.arguments import Network, Shape, shape_of

__all__ = ["export_file"]


def export_file(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint with the network's parameters.")],
    output: Annotated[Path, typer.Argument(help="ONNX file to write.")],
    network: Network = None,
    shape: Shape = "1,32,32",
    optimize: Annotated[str, typer.Option(help="none, size, speed or both.")] = "both",
    keep: Annotated[list[str] | None, typer.Option(help="Value that must stay in the file; may be repeated.")] = None,
) -> None:
    """Export a checkpoint to ONNX, smaller and faster, after comparing it with MindSpore.

    The file makes no privacy claim: a claim needs the ledger of the training, so that only train and demo write one.
    No file appears if onnxruntime and MindSpore disagree.

    Examples:

        mindveil export runs/demo/suppressed.ckpt small.onnx --shape 1,32,32

        mindveil export mine.ckpt mine.onnx --network mypackage.nets:make --shape 3,64,64 --optimize speed
    """
    from mindveil.tools import export
    from mindveil.tools.jobs.training import load_factory
    from mindveil.tools.onnx_passes.pipeline import OPTIMIZE

    if optimize not in OPTIMIZE:
        raise ValueError(f"--optimize is {optimize!r}, and must be one of {', '.join(OPTIMIZE)}")
    cell = load_factory(network)()
    inputs = (1, *shape_of(shape))
    report = export(cell, output, inputs=inputs, optimize=optimize, checkpoint=checkpoint, keep=keep or ())  # type: ignore[arg-type]
    typer.echo(report)
