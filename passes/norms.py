"""Bounds of norms as expressions, whose values follow the weights' norms from step to step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import hypot, inf, prod
from typing import Literal

__all__ = ["UNKNOWN", "Norm", "at_most", "number", "parameter", "product", "root", "total", "value"]


@dataclass(frozen=True, slots=True)
class Norm:
    """An upper bound: a number, the norm of a weight, the value of a Parameter, or made of other bounds.

    Attributes:
        kind: ``weight``: the spectral norm of a Parameter reshaped to ``[rows, -1]``, the Euclidean norm of one
            dimension. ``value``: what a Parameter without dimensions holds. ``root``: of the sum of squares.
        name: of the Parameter.
    """

    kind: Literal["number", "weight", "value", "sum", "product", "least", "root"]
    parts: tuple[Norm, ...] = ()
    number: float = 0.0
    name: str = ""
    #: What `_all` found: expressions are read again before every step, and never change.
    _order: list[Norm] = field(default_factory=list, init=False, repr=False, compare=False)

    def names(self, kind: str) -> frozenset[str]:
        """The Parameters that occur in the expression in this way."""
        return frozenset(n.name for n in self._all() if n.kind == kind)

    def at(self, weights: Mapping[str, float], values: Mapping[str, float]) -> float:
        """The bound, for these norms of weights and these values.

        Raises:
            KeyError: one is missing.
        """
        found: dict[int, float] = {}
        for node in self._all():
            parts = [found[id(p)] for p in node.parts]
            match node.kind:
                case "number":
                    found[id(node)] = node.number
                case "weight":
                    found[id(node)] = weights[node.name]
                case "value":
                    found[id(node)] = values[node.name]
                case "sum":
                    found[id(node)] = sum(parts)
                case "product":
                    found[id(node)] = 0.0 if 0.0 in parts else prod(parts)
                case "least":
                    found[id(node)] = min(parts)
                case "root":
                    found[id(node)] = hypot(*parts)
        return found[id(self)]

    def _all(self) -> Sequence[Norm]:
        """Every part once, before what it is a part of: branches that meet again are not counted twice."""
        if not self._order:
            self._order.extend(self._walk())
        return self._order

    def _walk(self) -> Iterator[Norm]:
        done: set[int] = set()
        stack: list[tuple[Norm, bool]] = [(self, False)]
        while stack:
            node, ready = stack.pop()
            if id(node) in done:
                continue
            if ready:
                done.add(id(node))
                yield node
            else:
                stack.append((node, True))
                stack.extend((p, False) for p in node.parts)


def number(value: float) -> Norm:
    """A constant."""
    return Norm("number", number=float(value))


def parameter(name: str) -> Norm:
    """The norm of a weight."""
    return Norm("weight", name=name)


def value(name: str) -> Norm:
    """What a Parameter without dimensions holds."""
    return Norm("value", name=name)


def total(*parts: Norm) -> Norm:
    """The sum."""
    return parts[0] if len(parts) == 1 else Norm("sum", parts)


def product(*parts: Norm | float) -> Norm:
    """The product; factors of 1 are left out."""
    factors = tuple(p if isinstance(p, Norm) else number(p) for p in parts if p != 1.0)
    return factors[0] if len(factors) == 1 else Norm("product", factors)


def at_most(first: Norm, second: Norm) -> Norm:
    """The smaller one."""
    return Norm("least", (first, second))


def root(*parts: Norm) -> Norm:
    """The norm of parts side by side."""
    return parts[0] if len(parts) == 1 else Norm("root", parts)


UNKNOWN = number(inf)
