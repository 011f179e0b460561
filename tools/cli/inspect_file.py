"""``mindveil inspect``: the privacy card of exported files, checked against their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["inspect_file"]


def inspect_file(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="ONNX files that mindveil exported.")],
) -> None:
    """Show what an exported model says about its privacy, and whether its weights agree.

    Prints the privacy card, the inputs and outputs, the sparsity that was measured weight by weight, and the names of
    the values that an attack can start from. Fails if the file was changed after export, or if its card claims more
    sparsity than there is.

    Examples:

        mindveil inspect runs/demo/dp.onnx

        mindveil inspect runs/demo/*.onnx
    """
    from mindveil.tools.inspection import inspect

    for position, file in enumerate(files):
        if position:
            typer.echo()
        typer.echo(inspect(file))
