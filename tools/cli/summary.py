"""Prints the models of a run side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mindveil.tools.attacks.score import Score
from mindveil.tools.jobs.attacking import Attacked
from mindveil.tools.report import RunResults

__all__ = ["print_attacks", "print_summary"]


def print_summary(results: RunResults, folder: Path) -> None:
    """The models side by side, the attacks on them, and where the report is."""
    console = Console()
    table = _table(
        f"{results.name}: one training, no claim", ("model", "accuracy", "epsilon", "sparsity", "ONNX bytes")
    )
    for model in results.models.values():
        epsilon = "none" if model.epsilon is None else f"{model.epsilon:.2f} at {model.delta:g}"
        table.add_row(model.title, f"{model.accuracy:.1%}", epsilon, f"{model.sparsity:.1%}", f"{model.onnx_bytes:,}")
    console.print(table)
    targets = results.targets
    title = f"{targets.count} images from {targets.features}, {targets.candidates} candidates"
    rows = [(m.title, k, r.scores) for m in results.models.values() for k, r in m.attacks.items()]
    console.print(_attacks(title, rows, results.references))
    console.print(f"{results.seconds:.0f} s. Report: {folder / 'report.html'}", highlight=False, soft_wrap=True)


def print_attacks(attacked: Attacked) -> None:
    """All attacks on all files, and the references."""
    targets = attacked.targets
    title = f"{len(targets.images)} images from {attacked.features}, {targets.candidates} candidates"
    rows = [(name, k, r.scores) for name, results in attacked.results.items() for k, r in results.items()]
    Console().print(_attacks(title, rows, attacked.references))


def _attacks(
    title: str, rows: Sequence[tuple[str, str, Mapping[str, Score]]], references: Mapping[str, Mapping[str, Score]]
) -> Table:
    table = _table(title, ("model", "attack", "L2", "SSIM", "identified", "evaluator"))
    shown = ""
    for name, kind, scores in rows:
        if shown and name != shown:
            table.add_section()
        table.add_row("" if name == shown else name, kind, *_scores(scores))
        shown = name
    table.add_section()
    for row, scores in references.items():
        table.add_row(row.replace("_", " "), "reference", *_scores(scores))
    return table


def _table(title: str, heads: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for head in heads:
        table.add_column(head, justify="left" if head in ("model", "attack") else "right", overflow="fold")
    return table


def _scores(scores: Mapping[str, Score]) -> list[str]:
    judged = scores.get("evaluator_confidence")
    return [
        f"{scores['l2'].value:.3f}",
        f"{scores['ssim'].value:.3f}",
        f"{scores['identification_rate'].value:.0%}",
        "-" if judged is None else f"{judged.value:.2f}",
    ]
