"""``mindveil train``: the main job on the user's own network and data."""

from __future__ import annotations

from typing import Annotated

import typer

from mindveil.tools.cli.arguments import Config, Data, Epsilon, Name, Network, Overwrite, Runs, Seed
from mindveil.tools.cli.run_command import run

__all__ = ["train"]


def train(
    config: Config = None,
    network: Network = None,
    data: Data = None,
    mode: Annotated[
        str, typer.Option(help="public, suppressed, private, suppressed-private, or all four: all.")
    ] = "private",
    name: Name = "train",
    runs: Runs = None,
    epsilon: Epsilon = None,
    delta: Annotated[float | None, typer.Option(help="Of the guarantee; below 1 / records. [default: 1e-5]")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="L2 bound of one record's gradient. [default: 1]")] = None,
    steps: Annotated[int | None, typer.Option(help="Updates of the private model. [default: 200]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Expected batch of the private model. [default: 512]")] = None,
    layer: Annotated[
        str | None, typer.Option(help="Value of the exported graph that the attack starts from. [default: the last]")
    ] = None,
    seed: Seed = None,
    overwrite: Overwrite = False,
) -> None:
    """Train your own network, export it, attack it and report.

    The network is any MindSpore Cell for images and classes. A private run uses clipped and noised gradients, and
    stops before it would spend more than --epsilon. A suppressed run makes the model sparse and claims no epsilon;
    a suppressed-private run does both. A public run claims nothing.

    Examples:

        mindveil train --network mypackage.nets:make --data images.npz --epsilon 3

        mindveil train --network mypackage.nets:make --data ~/mnist --mode all --name mine
    """
    from mindveil.tools.jobs.main_job import MODELS

    models = [m for m in MODELS if mode in (m.choice, "all")]
    if not models:
        raise ValueError(f"--mode is {mode!r}, and must be one of {', '.join(m.choice for m in MODELS)} or all")
    options = {
        "network": network,
        "data.source": data,
        "name": name,
        "runs": runs,
        "private.epsilon": epsilon,
        "private.delta": delta,
        "private.clip_norm": clip_norm,
        "private.steps": steps,
        "private.batch_size": batch_size,
        "attack.layer": layer,
        "seed": seed,
        "overwrite": overwrite or None,
    }
    run(config, options, models)
