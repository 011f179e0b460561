"""``mindveil demo``: the whole job on real images, from training to the report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    config: Annotated[
        Path | None, typer.Argument(help="A TOML file with the run's settings; all have defaults.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with MNIST's idx files (gzip or not), or an .npz. [default: the 5,000 embedded images]"
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run: its folder in --runs. [default: demo]")] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder of all runs. [default: runs]")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Target of the private model. [default: 8]")] = None,
    seed: Annotated[int | None, typer.Option(help="Of initial weights and public batches. [default: 0]")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run of that name.")] = False,
) -> None:
    """Train, account for, export and attack three models, and write the report.

    Trains LeNet5 three times: ordinary, suppressed (95 % of the weights set to zero) and with differentially private
    gradients; exports each to ONNX and compares it with MindSpore; attacks the files under onnxruntime; and puts it all
    on one page, runs/NAME/report.html.

    Examples:

        mindveil demo

        mindveil demo --data ~/mnist --name full --epsilon 3

        mindveil demo run.toml --overwrite
    """
    from mindveil.tools.cli.config import RunConfig
    from mindveil.tools.cli.progress import Bar
    from mindveil.tools.cli.run_folder import RunFolder
    from mindveil.tools.cli.summary import print_summary
    from mindveil.tools.jobs.demo import run_demo

    options = {
        "data.source": data,
        "name": name,
        "runs": runs,
        "private.epsilon": epsilon,
        "seed": seed,
        "overwrite": overwrite or None,
    }
    settings = RunConfig.read(config, {k: str(v) if isinstance(v, Path) else v for k, v in options.items()})
    command = shlex.join(["mindveil", *sys.argv[1:]])
    with RunFolder(settings.runs, settings.name, overwrite=settings.overwrite) as folder, Bar() as bar:
        results = run_demo(settings, folder, bar, command)
    print_summary(results, folder.final)
