"""How pictures look: one palette, one typeface, quiet axes; drawn without a display."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["INK", "MUTED", "colour", "figure", "quiet_axes", "to_png"]

INK = "#1f2933"
MUTED = "#7b8794"
GRID = "#e4e7eb"
# Distinguishable with colour-blindness and in grey print (after Okabe and Ito 2008).
_PALETTE = ("#3d5a80", "#d1495b", "#2a9d8f", "#b07d2b", "#6a4c93", "#4a4e69")
_SETTINGS: dict[Any, Any] = {  # matplotlib lists its keys as one type, too long to repeat
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def colour(index: int) -> str:
    """The colour of the model at this position of a table."""
    return _PALETTE[index % len(_PALETTE)]


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """A figure of this size in inches; the settings hold inside the block and nowhere else."""
    with mpl.rc_context(_SETTINGS):
        drawn = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(drawn)
        yield drawn


def quiet_axes(axes: Axes) -> None:
    """Two spines, a light grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def to_png(drawn: Figure, *, dots_per_inch: int = 150) -> bytes:
    """The figure as the bytes of a PNG file; equal figures give equal bytes."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return buffer.getvalue()
