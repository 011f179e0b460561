"""Curves over training steps and over attack iterations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mindveil.tools.report.results import ModelResult
from mindveil.tools.report.style import INK, colour, figure, quiet_axes, to_png

__all__ = ["LossCurve", "epsilon_curve", "loss_curves", "sparsity_curve"]


@dataclass(frozen=True, slots=True, eq=False)
class LossCurve:
    """An attack's mean loss over its iterations, and the mean loss of the true images."""

    found: NDArray[np.float32]
    true: float


def epsilon_curve(models: Mapping[str, ModelResult]) -> bytes:
    """PNG bytes: epsilon spent over steps, for every model that has one."""
    with figure(6.4, 3.6) as drawn:
        axes = drawn.subplots()
        silent = []
        for index, model in enumerate(models.values()):
            if not model.history.epsilon or not np.isfinite(model.history.epsilon).all():
                silent.append(model.title)
                continue
            claim = "" if model.delta is None else f" at δ = {_exponent(model.delta)}"
            label = f"{model.title}: ε = {model.history.epsilon[-1]:.2f}{claim}"
            axes.plot(model.history.steps, model.history.epsilon, color=colour(index), linewidth=2, label=label)
        _absent(axes, "no epsilon", silent)
        _finish(axes, "Privacy spent over training", "step", "ε")
        return to_png(drawn)


def sparsity_curve(models: Mapping[str, ModelResult]) -> bytes:
    """PNG bytes: share of zero weights over steps, for every model that has such a history."""
    with figure(6.4, 3.6) as drawn:
        axes = drawn.subplots()
        silent = []
        for index, model in enumerate(models.values()):
            if not model.history.sparsity or not any(model.history.sparsity):
                silent.append(model.title)
                continue
            share = [100 * value for value in model.history.sparsity]
            label = f"{model.title}: {share[-1]:.1f} %"
            axes.plot(model.history.steps, share, color=colour(index), linewidth=2, label=label)
        axes.set_ylim(0, 104)
        _absent(axes, "no weights set to zero", silent)
        _finish(axes, "Weights set to zero over training", "step", "sparsity, %")
        return to_png(drawn)


def loss_curves(models: Mapping[str, ModelResult], curves: Mapping[str, LossCurve], *, title: str) -> bytes:
    """PNG bytes: the attack's loss over iterations, and as dashed lines that of the true images."""
    with figure(6.4, 3.6) as drawn:
        axes = drawn.subplots()
        for index, (name, model) in enumerate(models.items()):
            if name in curves:
                label = f"{model.title}: {curves[name].found[-1]:.3f} at the end"
                axes.plot(curves[name].found, color=colour(index), linewidth=2, label=label)
        # The features of a true image fit exactly, so its loss is the same for every model unless the images differ.
        levels = sorted({round(curve.true, 4) for curve in curves.values()})
        for level in levels:
            axes.axhline(level, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label=f"true images: {level:.3f}")
        axes.legend(loc="upper right", fontsize=9)
        _finish(axes, title, "iteration", "mean loss")
        return to_png(drawn)


def _exponent(value: float) -> str:
    """1e-05 as 1e-5."""
    return f"{value:g}".replace("e-0", "e-")


def _finish(axes: Axes, title: str, x: str, y: str) -> None:
    quiet_axes(axes)
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.set_ylim(bottom=0)


def _absent(axes: Axes, what: str, titles: Sequence[str]) -> None:
    """The legend, with the models that have no curve named at its end."""
    if titles:
        axes.plot([], [], alpha=0, label=f"{what}: {', '.join(titles)}")
    axes.legend(loc="lower right", fontsize=9)
