"""Prints the models of a run side by side."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from mindveil.tools.report import RunResults

__all__ = ["print_summary"]


def print_summary(results: RunResults, folder: Path) -> None:
    """One table of the models, the references of the attack, and where the report is."""
    console = Console()
    table = Table(title=f"{results.name}: one training, no claim", title_justify="left")
    for head in (
        "",
        "accuracy",
        "epsilon",
        "sparsity",
        "ONNX bytes",
        "attack",
        "L2",
        "SSIM",
        "identified",
        "evaluator",
    ):
        table.add_column(head, justify="left" if head in ("", "attack") else "right")
    for model in results.models.values():
        epsilon = "none" if model.epsilon is None else f"{model.epsilon:.2f} at {model.delta:g}"
        first = [model.title, f"{model.accuracy:.1%}", epsilon, f"{model.sparsity:.1%}", f"{model.onnx_bytes:,}"]
        for attack, record in model.attacks.items():
            table.add_row(*first, attack, *_scores({n: s.value for n, s in record.scores.items()}))
            first = [""] * 5
        table.add_section()
    for row, scores in results.references.items():
        table.add_row(
            row.replace("_", " "), "", "", "", "", "reference", *_scores({n: s.value for n, s in scores.items()})
        )
    console.print(table)
    console.print(f"{results.seconds:.0f} s. Report: {folder / 'report.html'}", highlight=False, soft_wrap=True)


def _scores(values: dict[str, float]) -> list[str]:
    confidence = values.get("evaluator_confidence")
    return [
        f"{values['l2']:.3f}",
        f"{values['ssim']:.3f}",
        f"{values['identification_rate']:.0%}",
        "-" if confidence is None else f"{confidence:.2f}",
    ]
