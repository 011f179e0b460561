"""Privacy as the type of an edge: what a value of the step graph reveals about the examples."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Bounded",
    "Many",
    "Mixed",
    "PerExample",
    "Privacy",
    "PrivacyError",
    "Public",
    "Released",
    "Summed",
    "is_free",
]


class PrivacyError(RuntimeError):
    """A training step that cannot be shown to be private; the message says which node, where, and why."""


@dataclass(frozen=True, slots=True)
class Public:
    """Nothing about any example: weights, constants, settings."""

    def __str__(self) -> str:
        return "public"


@dataclass(frozen=True, slots=True)
class PerExample:
    """Each part belongs to one example: the tensor, flattened in C order, is ``[before, B, after]``.

    An axis and a row count are not enough: recurrent and attention layers work in ``[T, B, C]`` and reshape that to
    ``[T*B, C]``. ``before`` counts what stands in front of the examples; a reshape leaves it alone.
    """

    before: int

    def __str__(self) -> str:
        return "per example" if self.before == 1 else f"per example, {self.before} in front"


@dataclass(frozen=True, slots=True)
class Summed:
    """A sum over the examples of one term each: a gradient before clipping. Its sensitivity is unbounded."""

    def __str__(self) -> str:
        return "sum over examples, unbounded"


@dataclass(frozen=True, slots=True)
class Mixed:
    """Several examples combined in a way that no rule bounds; ``node`` is where that happened."""

    why: str
    node: int

    def __str__(self) -> str:
        return f"examples mixed: {self.why}"


@dataclass(frozen=True, slots=True)
class Bounded:
    """One example more or less moves the whole group of values that carry the same ``group`` by at most ``l2``.

    Attributes:
        l2: where the bound stands: the name of the Parameter that holds it.
    """

    l2: str
    group: str

    def __str__(self) -> str:
        return f"bounded by {self.l2}"


@dataclass(frozen=True, slots=True)
class Released:
    """Noise was added: whatever is computed from it alone is post-processing."""

    event: str

    def __str__(self) -> str:
        return f"released ({self.event})"


@dataclass(frozen=True, slots=True)
class Many:
    """The outputs or elements of a tuple, each with a type of its own."""

    parts: tuple[Privacy, ...]

    def __str__(self) -> str:
        kinds = list(dict.fromkeys(str(p) for p in self.parts))
        return f"({', '.join(kinds)})"


Privacy = Public | PerExample | Summed | Mixed | Bounded | Released | Many


def is_free(p: Privacy) -> bool:
    """Whether the value may reach a Parameter: it is public or released, all of it."""
    if isinstance(p, Many):
        return all(is_free(part) for part in p.parts)
    return isinstance(p, Public | Released)
