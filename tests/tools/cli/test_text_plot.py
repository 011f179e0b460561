"""Curves as text."""

from __future__ import annotations

import pytest

from mindveil.tools.cli.text_plot import text_plot


def test_every_point_stands_where_its_numbers_say() -> None:
    text = text_plot([("a", [0, 5, 10], [0, 50, 100]), ("b", [10], [0])], width=11, height=3)
    assert text.splitlines() == [
        "100 |          a",
        "    |     a",
        "  0 |a         b",
        "    +-----------",
        "     0        10",
    ]


def test_curves_that_are_zero_everywhere_lie_on_the_axis() -> None:
    assert "0 |a  a" in text_plot([("a", [0, 1], [0.0, 0.0])], width=4, height=2)


@pytest.mark.parametrize(("curves", "width", "height"), [(0, 64, 16), (1, 3, 16), (1, 64, 1)])
def test_nothing_to_draw_and_no_place_to_draw_it_are_refused(curves: int, width: int, height: int) -> None:
    with pytest.raises(ValueError, match=rf"there are {curves} curves for an area of {width} x {height}"):
        text_plot([("a", [0, 1], [0, 1])] * curves, width=width, height=height)
