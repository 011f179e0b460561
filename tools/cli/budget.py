"""``mindveil budget``: what epsilon comes to, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mindveil.accountant.plan import BudgetCurve, BudgetRow, Choice

__all__ = ["budget"]

MOST = 12  # choices at a time: more are unreadable, as a table and as curves
MARKS = "abcdefghijkl"


def budget(
    records: Annotated[int, typer.Option(help="Records in the training set.")] = 60_000,
    batch: Annotated[list[int] | None, typer.Option(help="Expected batch; several to compare. [default: 256]")] = None,
    epochs: Annotated[
        list[float] | None, typer.Option(help="Passes over the data; several to compare. [default: 20]")
    ] = None,
    noise: Annotated[
        list[float] | None, typer.Option(help="Noise multiplier; several to compare. [default: 0.8, 1.1, 1.5]")
    ] = None,
    epsilon: Annotated[
        list[float] | None, typer.Option(help="Target, in place of --noise: the least noise that keeps to it is found.")
    ] = None,
    delta: Annotated[float, typer.Option(help="Of the guarantee; below 1 / records.")] = 1e-5,
    plot: Annotated[Path | None, typer.Option(help="Also draw epsilon over steps into this PNG file.")] = None,
) -> None:
    """Ask what if: epsilon for choices of noise, batch and epochs.

    Every combination of the values given is one row: its epsilon by the Renyi bound (which training prints and the card
    states) and by the tighter privacy-loss bound, and its curve over the steps. All are upper bounds for adding or
    removing one record, with batches drawn by Poisson sampling.

    Examples:

        mindveil budget --records 60000 --batch 256 --epochs 20 --noise 0.8 --noise 1.1

        mindveil budget --records 4000 --batch 128 --batch 512 --epochs 25 --epsilon 8 --plot budget.png
    """
    from mindveil.accountant.plan import budget_curve, budget_table
    from mindveil.tools.cli.text_plot import text_plot

    if noise and epsilon:
        raise ValueError("--noise and --epsilon were both given; give the noise, or a target to find it for")
    if plot is not None and plot.suffix.lower() != ".png":
        raise ValueError(f"--plot is {plot}, and must end in .png")
    choices = _choices(records, batch or [256], epochs or [20.0], noise or [], epsilon or [], delta)
    rows = budget_table(choices, delta=delta)
    curves = [budget_curve(choice, delta=delta) for choice in choices]
    typer.echo("\n".join(_table(rows)))
    typer.echo(f"\nepsilon over steps, at delta {delta:g}, for adding or removing one record")
    typer.echo(text_plot([(MARKS[i], curve.steps, curve.epsilons) for i, curve in enumerate(curves)]))
    if delta * records >= 1:
        typer.echo(f"mindveil: warning: delta is {delta:g}, and should be far below 1 / {records}", err=True)
    if plot is not None:
        _draw(curves, delta, plot)
        typer.echo(f"\n{plot} written")


def _choices(
    records: int,
    batches: Sequence[int],
    epochs: Sequence[float],
    noises: Sequence[float],
    targets: Sequence[float],
    delta: float,
) -> list[Choice]:
    """One choice for each combination of the values given."""
    from mindveil.accountant.plan import Choice

    levels = list(targets) or list(noises) or [0.8, 1.1, 1.5]
    combinations = [(size, length, level) for size in batches for length in epochs for level in levels]
    if len(combinations) > MOST:
        raise ValueError(
            f"these are {len(combinations)} choices, and at most {MOST} can be compared; give fewer values"
        )
    choices = []
    for size, length, level in combinations:
        value = _noise_for(level, records, size, length, delta) if targets else level
        choices.append(Choice(value, size, records, length))
    return choices


def _noise_for(target: float, records: int, batch: int, epochs: float, delta: float) -> float:
    from mindveil.accountant import noise_multiplier
    from mindveil.accountant.plan import Choice

    trial = Choice(1.0, batch, records, epochs)
    return noise_multiplier(target_epsilon=target, delta=delta, sampling_rate=trial.sampling_rate, steps=trial.steps)


def _table(rows: Sequence[BudgetRow]) -> list[str]:
    cells = [("", "noise", "batch", "rate", "epochs", "steps", "epsilon (RDP)", "epsilon (tight)")]
    for mark, row in zip(MARKS, rows, strict=False):
        choice = row.choice
        numbers = (f"{choice.noise_multiplier:.4g}", f"{choice.batch_size:g}", f"{choice.sampling_rate:.4g}")
        lengths = (f"{choice.epochs:g}", f"{row.steps:,}")
        cells.append((mark, *numbers, *lengths, f"{row.epsilon_rdp:.4f}", f"{row.epsilon_tight:.4f}"))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]


def _draw(curves: Sequence[BudgetCurve], delta: float, path: Path) -> None:
    from mindveil.tools.report.files import write_atomically
    from mindveil.tools.report.style import figure, quiet_axes, to_png

    with figure(7, 4) as drawn:
        axes = drawn.subplots()
        quiet_axes(axes)
        for curve in curves:
            choice = curve.choice
            label = f"noise {choice.noise_multiplier:.4g}, batch {choice.batch_size:g}, {choice.epochs:g} epochs"
            axes.plot(curve.steps, curve.epsilons, label=label)
        axes.set(xlabel="steps", ylabel=f"epsilon at delta {delta:g}", title="What training would spend")
        axes.legend()
        write_atomically(path, to_png(drawn))
