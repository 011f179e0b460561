"""``mindveil explain``: the typed graph of a training step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindveil.tools.cli.arguments import Network, Shape, shape_of

__all__ = ["explain_step"]

ROWS = 8
SPARSITY = 0.95


def explain_step(
    network: Network = None,
    shape: Shape = "1,32,32",
    mode: Annotated[str, typer.Option(help="private, suppressed, or both policies at once: both.")] = "private",
    picture: Annotated[Path | None, typer.Option(help="Also draw the step into this SVG file.")] = None,
) -> None:
    """Show how the passes rewrite a training step: where each gradient is clipped, noised and masked.

    The step is compiled and not run. A network that cannot be trained privately is refused with the reason: which
    value mixes the examples, and where it was made.

    Examples:

        mindveil explain

        mindveil explain --network mypackage.nets:make --shape 3,32,32 --mode both
    """
    import numpy as np
    from mindspore import nn

    from mindveil.runtime import DPSGD, PrivateStep, Suppression
    from mindveil.runtime.kinds import Policy
    from mindveil.tools.jobs.training import load_factory
    from mindveil.tools.report.files import write_atomically

    known: dict[str, list[Policy]] = {
        "private": [DPSGD(1.0, 1.0, 0.1, 10 * ROWS)],
        "suppressed": [Suppression(sparsity=SPARSITY, steps=1000)],
    }
    known["both"] = known["suppressed"] + known["private"]
    if mode not in known:
        raise ValueError(f"--mode is {mode!r}, and must be one of {', '.join(known)}")
    cell = load_factory(network)()
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    step = PrivateStep(cell, loss, nn.SGD(cell.trainable_params(), 0.1), known[mode])
    step.prepare(np.zeros((ROWS, *shape_of(shape)), np.float32), np.zeros(ROWS, np.int32))
    typer.echo(step.explain())
    if picture is not None:
        write_atomically(picture, step.picture().encode())
        typer.echo(f"drawn: {picture}")
