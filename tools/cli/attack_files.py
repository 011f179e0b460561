"""``mindveil attack``: reconstruct images from the features of exported files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindveil.tools.cli.arguments import Data, Seed

__all__ = ["attack_files"]


def attack_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Exported ONNX files.")],
    data: Data = None,
    evaluator: Annotated[
        Path | None, typer.Option(help="Exported file of an independently trained classifier, to judge the results.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Value that the attacker sees. [default: fc1_relu, or the last]")
    ] = None,
    images: Annotated[int | None, typer.Option(help="How many images are attacked. [default: 100]")] = None,
    iterations: Annotated[int | None, typer.Option(help="Gradient steps on each image. [default: 100]")] = None,
    seed: Seed = None,
) -> None:
    """Try to reconstruct the input images of exported models from one of their values.

    Prints the scores of every attack on every file, with reference rows that any attack must beat: a black image, the
    mean image of the class, another image of the class. All files are attacked on the same images.

    Examples:

        mindveil attack runs/demo/plain.onnx runs/demo/dp.onnx --evaluator runs/demo/evaluator.onnx

        mindveil attack mine.onnx --data images.npz --layer conv2_relu
    """
    from mindveil.tools.cli.config import RunConfig
    from mindveil.tools.cli.progress import Bar
    from mindveil.tools.cli.summary import print_attacks
    from mindveil.tools.jobs.attacking import attack_models, make_targets
    from mindveil.tools.jobs.main_job import load_data

    options = {
        "data.source": None if data is None else str(data),
        "attack.layer": layer,
        "attack.images": images,
        "attack.iterations": iterations,
        "attack.seed": seed,
    }
    settings = RunConfig.read(None, options)
    targets = make_targets(load_data(settings.data), settings.attack.images)
    with Bar() as bar:
        attacked = attack_models({str(f): f for f in files}, evaluator, targets, settings.attack, bar)
    print_attacks(attacked)
