"""Curves as text, for a terminal: one letter a curve."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["text_plot"]

Curve = tuple[str, Sequence[float], Sequence[float]]


def text_plot(curves: Sequence[Curve], *, width: int = 64, height: int = 16) -> str:
    """Curves ``(letter, x, y)`` over axes that start at 0; where two meet, the later one is seen.

    Args:
        width, height: of the plotting area, in characters.

    >>> print(text_plot([("a", [0, 1, 2, 3], [0, 1, 2, 3])], width=4, height=4))
    3 |   a
      |  a
      | a
    0 |a
      +----
       0  3

    Raises:
        ValueError: there is no curve, or the area is too small.
    """
    if not curves or width < 4 or height < 2:
        raise ValueError(
            f"there are {len(curves)} curves for an area of {width} x {height}; give one, and at least 4 x 2"
        )
    right = max(max(x) for _, x, _ in curves) or 1.0
    top = max(max(y) for _, _, y in curves) or 1.0
    area = [[" "] * width for _ in range(height)]
    for letter, xs, ys in curves:
        for x, y in zip(xs, ys, strict=True):
            area[height - 1 - round(y / top * (height - 1))][round(x / right * (width - 1))] = letter
    labels = [_number(top), *[""] * (height - 2), "0"]
    margin = max(map(len, labels))
    lines = [f"{label:>{margin}} |{''.join(row).rstrip()}" for label, row in zip(labels, area, strict=True)]
    end = _number(right)
    axis = f"{' ' * margin} +{'-' * width}"
    return "\n".join([*lines, axis, f"{' ' * margin}  0{end:>{width - 1}}"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
