"""The picture of accuracy against leakage: one point a model and attack, with both intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mindveil.tools.attacks.catalogue import entry
from mindveil.tools.attacks.score import Score, rate_score
from mindveil.tools.report.results import RunResults
from mindveil.tools.report.style import MUTED, colour, figure, quiet_axes, to_png

__all__ = ["accuracy_against_leakage", "accuracy_score"]

_MARKERS = ("o", "s", "D", "^", "v", "P")


def accuracy_score(accuracy: float, n: int) -> Score:
    """Accuracy with its Clopper-Pearson interval."""
    return rate_score("accuracy", np.arange(n) < round(accuracy * n))


def accuracy_against_leakage(results: RunResults) -> bytes:
    """PNG bytes: identification rate over accuracy; colour is the model, shape the attack."""
    with figure(6.4, 4.6) as drawn:
        axes = drawn.subplots()
        for index, model in enumerate(results.models.values()):
            across = accuracy_score(model.accuracy, model.accuracy_n)
            for position, name in enumerate(results.attack_names):
                if name in model.attacks and "identification_rate" in model.attacks[name].scores:
                    up = model.attacks[name].scores["identification_rate"]
                    axes.errorbar(
                        100 * across.value,
                        100 * up.value,
                        xerr=_bars(across),
                        yerr=_bars(up),
                        fmt=_MARKERS[position % len(_MARKERS)],
                        color=colour(index),
                        markersize=7,
                        elinewidth=1,
                        capsize=2,
                    )
        _legends(drawn, results)
        chance = 100 / results.targets.candidates
        axes.axhline(chance, color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
        axes.text(
            0.01,
            chance + 1.2,
            f"chance: 1 of {results.targets.candidates}",
            fontsize=8,
            color=MUTED,
            transform=axes.get_yaxis_transform(),
        )
        quiet_axes(axes)
        axes.set_ylim(-4, 104)
        axes.set(
            title="Accuracy against leakage",
            xlabel="accuracy on held-out images, %",
            ylabel="targets identified from their features, %",
        )
        return to_png(drawn)


def _bars(score: Score) -> list[list[float]]:
    return [[100 * (score.value - score.low)], [100 * (score.high - score.value)]]


def _legends(drawn: Figure, results: RunResults) -> None:
    """Colours on the left, shapes on the right, below the data."""
    models = [
        Line2D([], [], marker="o", linestyle="", color=colour(index), label=model.title)
        for index, model in enumerate(results.models.values())
    ]
    shapes: Mapping[str, str] = dict(zip(results.attack_names, _MARKERS, strict=False))
    attacks = [
        Line2D([], [], marker=shape, linestyle="", color=MUTED, label=entry(name).title)
        for name, shape in shapes.items()
    ]
    drawn.legend(handles=models, loc="outside lower left", fontsize=9)
    drawn.legend(handles=attacks, loc="outside lower right", fontsize=9)
