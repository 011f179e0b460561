"""Checks of single numbers: each says what was got, what was wanted, and returns a plain Python number."""

import math
import numbers
from collections.abc import Sequence as SequenceOf
from typing import Literal, cast, get_args

__all__ = [
    "RELATIONS",
    "Relation",
    "between",
    "count",
    "delta_value",
    "epsilon_value",
    "one_of",
    "positive",
    "real",
    "relation",
    "trusted",
]

Relation = Literal["add_or_remove_one", "replace_one", "zero_out"]
RELATIONS: tuple[str, ...] = get_args(Relation)


def real(name: str, value: object) -> float:
    """``value`` as a finite float.

    Raises:
        TypeError: not a real number; booleans and strings are not numbers here.
        ValueError: NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), and must be a real number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}, and must be finite")
    return number


def positive(name: str, value: object, hint: str = "") -> float:
    """``value`` as a finite float above 0."""
    number = real(name, value)
    if number <= 0:
        raise ValueError(f"{name} is {number}, and must be above 0" + (f"; {hint}" if hint else ""))
    return number


def between(name: str, value: object, low: float, high: float, hint: str = "") -> float:
    """``value`` as a float in the closed interval from ``low`` to ``high``."""
    number = real(name, value)
    if not low <= number <= high:
        raise ValueError(f"{name} is {number}, and must be in [{low:g}, {high:g}]" + (f"; {hint}" if hint else ""))
    return number


def count(name: str, value: object, least: int = 0) -> int:
    """``value`` as an int of at least ``least``; booleans and floats are refused, NumPy integers accepted."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), and must be an integer")
    number = int(value)
    if number < least:
        raise ValueError(f"{name} is {number}, and must be at least {least}")
    return number


def delta_value(value: object) -> float:
    """A delta strictly between 0 and 1."""
    number = real("delta", value)
    if not 0 < number < 1:
        raise ValueError(f"delta is {number}, and must be strictly between 0 and 1; choose less than 1 / records")
    return number


def epsilon_value(value: object, name: str = "epsilon") -> float:
    """An epsilon of at least 0, in nats."""
    number = real(name, value)
    if number < 0:
        raise ValueError(f"{name} is {number}, and must be at least 0")
    return number


def one_of(name: str, value: object, allowed: SequenceOf[str]) -> str:
    """``value`` as one of the names in ``allowed``."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), and must be one of {', '.join(allowed)}")
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, and must be one of {', '.join(allowed)}")
    return value


def relation(value: object) -> Relation:
    """One of the neighbouring relations."""
    return cast(Relation, one_of("neighbouring", value, RELATIONS))


def trusted(name: str, value: float) -> float:
    """The gate that every number passes on its way out: at least 0, or infinite, and never NaN.

    Raises:
        ArithmeticError: digits were lost on the way, so the number could be too small.
    """
    if math.isnan(value) or value < 0:
        raise ArithmeticError(
            f"{name} came out as {value}; the computation lost its digits, so no guarantee is given for this event"
        )
    return float(value)
