"""The gate that every number passes on its way out."""

import math

import pytest

from mindveil.accountant.checks import between, real, trusted


@pytest.mark.parametrize("value", [-1e-300, -1.0, -math.inf, math.nan])
def test_a_number_that_lost_its_digits_does_not_leave(value: float) -> None:
    with pytest.raises(ArithmeticError, match="epsilon came out as"):
        trusted("epsilon", value)


@pytest.mark.parametrize("value", [0.0, 1e-300, 3.0, math.inf])
def test_a_sound_number_leaves_unchanged(value: float) -> None:
    assert trusted("epsilon", value) == value


def test_an_error_says_what_was_got_wanted_and_to_be_done() -> None:
    with pytest.raises(ValueError, match=r"rate is 2\.0, and must be in \[0, 1\]; it is batch / records"):
        between("rate", 2, 0, 1, "it is batch / records")
    with pytest.raises(TypeError, match=r"rate is '2' \(str\), and must be a real number"):
        real("rate", "2")
