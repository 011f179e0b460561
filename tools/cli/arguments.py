"""Options that several commands share, worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Config", "Data", "Epsilon", "Name", "Network", "Overwrite", "Runs", "Seed", "Shape", "shape_of"]

Config = Annotated[Path | None, typer.Argument(help="A TOML file with the run's settings; all have defaults.")]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder with MNIST's idx files (gzip or not), or an .npz. [default: 5,000 embedded images]"),
]
Name = Annotated[str | None, typer.Option(help="Name of the run: its folder in --runs.")]
Runs = Annotated[Path | None, typer.Option(help="Folder of all runs. [default: runs]")]
Epsilon = Annotated[float | None, typer.Option(help="Target of the private model. [default: 8]")]
Seed = Annotated[int | None, typer.Option(help="Of initial weights and public batches. [default: 0]")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a finished run of that name.")]
Network = Annotated[
    str | None,
    typer.Option(help="package.module:factory, a callable that returns a Cell. [default: LeNet5]"),
]
Shape = Annotated[str, typer.Option(help="Shape of one input, without the batch: channels,height,width.")]


def shape_of(text: str) -> tuple[int, ...]:
    """The numbers of ``1,32,32``.

    Raises:
        ValueError: it is something else.
    """
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise ValueError(f"--shape is {text!r}, and must be whole numbers above 0 with commas between, such as 1,32,32")
    return shape
