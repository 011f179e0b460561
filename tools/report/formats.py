"""How numbers are written in tables: few digits, units, and a dash where nothing was measured."""

from __future__ import annotations

import math

from mindveil.tools.attacks.score import Score
from mindveil.tools.report.markup import Cell, number

__all__ = ["DASH", "SCORE_TITLES", "byte_size", "difference_cell", "epsilon_cell", "percent", "score_cell"]

DASH = "\N{EN DASH}"
# name -> (title, whether it is shown in per cent, which direction means that more leaks)
SCORE_TITLES: dict[str, tuple[str, bool, str]] = {
    "identification_rate": ("Identified", True, "higher leaks more"),
    "l2": ("Relative L2", False, "lower leaks more"),
    "ssim": ("SSIM", False, "higher leaks more"),
    "evaluator_confidence": ("Evaluator confidence", True, "measures the class"),
    "evaluator_accuracy": ("Evaluator accuracy", True, "measures the class"),
}


def percent(value: float, digits: int = 1) -> str:
    """A share in per cent."""
    return f"{100 * value:.{digits}f} %"


def byte_size(count: int) -> str:
    """A file size in the unit that reads best."""
    if count < 10_000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.2f} MB"


def score_cell(name: str, score: Score | None) -> Cell:
    """A score with its interval below."""
    if score is None:
        return number(DASH)
    if SCORE_TITLES[name][1]:
        return number(percent(score.value, 1), f"{100 * score.low:.1f} to {100 * score.high:.1f}")
    return number(f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}")


def difference_cell(name: str, score: Score | None) -> Cell:
    """A signed difference with its interval below; a star where the interval leaves 0 out."""
    if score is None:
        return number(DASH)
    factor, digits = (100, 1) if SCORE_TITLES[name][1] else (1, 3)
    star = "" if score.low <= 0 <= score.high else " *"
    value, low, high = (f"{factor * item:+.{digits}f}" for item in (score.value, score.low, score.high))
    return number(value + star, f"{low} to {high}")


def epsilon_cell(epsilon: float | None, delta: float | None) -> Cell:
    """Epsilon, and below it delta; words where no claim is made."""
    if epsilon is None:
        return number("none", "no claim")
    if math.isinf(epsilon):
        return number("infinite", "trained without noise")
    return number(f"{epsilon:.2f}", f"at delta {delta:g}".replace("e-0", "e-"))
