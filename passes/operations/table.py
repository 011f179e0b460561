"""What an entry of the operation table says, and the view of a typed graph that its rules read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mindveil.passes.graph import Node, Shape, StepGraph
from mindveil.passes.privacy import Many, Mixed, PerExample, Privacy, is_free

if TYPE_CHECKING:
    from mindveil.passes.edits import Builder

__all__ = ["Operation", "Place", "RefusedError", "Rule", "View", "many", "mixed", "refuse", "words"]


#: The reason that most refusals of a mixing operation come down to.
APART = "its operands hold the examples in different places, so that it combines one example with another"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the examples lie: dimension ``axis`` of the tensor is ``outer * B * inner``."""

    axis: int
    outer: int
    inner: int


class RefusedError(ValueError):
    """A rule's reason why an operation mixes examples; inference turns it into a `Mixed` type."""


class View:
    """A graph together with the privacy types found so far."""

    def __init__(self, graph: StepGraph | Builder, types: Mapping[int, Privacy], batch: int) -> None:
        self.graph = graph
        self.types = types
        self.batch = batch

    def __getitem__(self, node: int) -> Node:
        return self.graph[node]

    def shape(self, node: int) -> Shape:
        """The shape of a tensor."""
        return self.graph[node].shape

    def value(self, node: int) -> Any:
        """The Python value of a constant; None for an absent one.

        Raises:
            RefusedError: the node is no constant, so that a rule cannot be decided.
        """
        n = self.graph[node]
        if n.kind != "value":
            raise RefusedError(f"its argument {n.describe()} is computed at run time")
        return n.plain

    def axes(self, node: int, rank: int) -> list[int]:
        """The dimensions that a constant names, not negative; all of them for None."""
        value = self.value(node)
        if value is None:
            return list(range(rank))
        return [a % rank for a in ([value] if isinstance(value, int) else value)]

    def place(self, node: int) -> Place:
        """Where the examples of a per-example tensor lie.

        Raises:
            RefusedError: not inside one dimension.
        """
        kind = self.types[node]
        if not isinstance(kind, PerExample):
            raise RefusedError(f"{self[node].describe()} holds no examples")
        left, count = kind.before, 1
        for axis, size in enumerate(self.shape(node)):
            if left % count == 0 and size % (left // count * self.batch) == 0:
                outer = left // count
                return Place(axis, outer, size // (outer * self.batch))
            count *= size
        raise RefusedError(f"the examples of {self[node].describe()} do not lie inside one dimension")

    def at(self, shape: Shape, axis: int, outer: int) -> PerExample:
        """The type of a tensor whose dimension ``axis`` is ``outer * B * inner``."""
        return PerExample(prod(shape[:axis]) * outer)

    def examples(self, inputs: Sequence[int]) -> list[int]:
        """Those of the inputs that hold examples.

        Raises:
            RefusedError: none does.
        """
        found = [i for i in inputs if isinstance(self.types[i], PerExample)]
        if not found:
            raise RefusedError("none of its operands is a tensor of examples")
        return found

    def common(self, inputs: Sequence[int]) -> Place:
        """Where the examples lie in all of the inputs that hold any; the dimensions are counted from the left.

        Raises:
            RefusedError: they lie in different places, so that the operation would combine one example with another.
        """
        places = {self.place(i) for i in self.examples(inputs)}
        if len(places) != 1:
            raise RefusedError(APART)
        return places.pop()

    def rows(self, inputs: Sequence[int]) -> Place:
        """Where the examples lie, for an operation that treats the rows of axis 0 one by one.

        Raises:
            RefusedError: they are not in axis 0, or not in the same place.
        """
        place = self.common(inputs)
        if place.axis != 0:
            raise RefusedError("it does not hold the examples in axis 0")
        return place

    def free(self, node: int, what: str) -> None:
        """Refuses an operand that is computed from the examples.

        Raises:
            RefusedError: it is.
        """
        if not is_free(self.types[node]):
            raise RefusedError(f"its {what} is computed from the examples")

    def outputs(self, node: Node) -> tuple[Shape, ...]:
        """The shapes of an operation with several outputs."""
        return tuple(e.shape or () for e in node.type.elements or ())


Rule = Callable[[View, Node], Privacy]


class TermsRule(Protocol):
    """Builds the tensor ``[B, *shape]`` of the terms that a contraction sums; for output ``index`` of several."""

    def __call__(self, terms: Any, node: Node, index: int) -> int: ...


class LinearRule(Protocol):
    """The operation on the terms of its summed inputs, ``parts``; for output ``index`` of several."""

    def __call__(self, terms: Any, node: Node, parts: list[int], index: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of the table.

    Attributes:
        privacy: the type of the result, called only when some input is not public.
        effect: ``random`` and ``state`` operations are never merged, moved or dropped by a pass.
        terms: for an operation that sums over examples: the terms, one for each example.
        norm: the squared norms of the terms, ``[B, 1]``, without making the terms; None where that does not pay.
        masked: the same of what a mask of zeros and ones, of the shape of the sum, leaves of each term.
        scaled: position of the input in which a contraction is linear, and which may be weighted by example;
            None where the terms are always made.
        linear: for an operation that keeps a sum over examples a sum: the same operation on the terms. An operation
            without one never sees a sum over examples.
        isometric: a linear operation that keeps every term's norm, because it moves values or turns their signs; terms
            are float32, so that a cast does nothing to them.
        grouped: it takes a tuple of tensors. An operation that does not never sees one.
        forbids: why the operation mixes examples whatever its inputs are; None where it need not.
        ignored: positions of inputs that the kernel never reads.
    """

    privacy: Rule
    effect: Literal["pure", "random", "state"] = "pure"
    terms: TermsRule | None = None
    norm: Callable[[Any, Node], int | None] | None = None
    masked: Callable[[Any, Node, int], int | None] | None = None
    scaled: Callable[[View, Node], int] | None = None
    linear: LinearRule | None = None
    isometric: bool = False
    grouped: bool = False
    forbids: Callable[[View, Node], str | None] | None = None
    ignored: tuple[int, ...] = ()


def refuse(why: str) -> Rule:
    """A rule that says why the operation cannot be followed."""

    def rule(view: View, node: Node) -> Privacy:
        raise RefusedError(why)

    return rule


def many(parts: list[Privacy]) -> Privacy:
    """The type of several outputs."""
    return Many(tuple(parts))


def mixed(node: Node, why: str) -> Mixed:
    """The type of a value that no rule bounds."""
    return Mixed(f"{node.describe()}: {why}", node.id)


def words(text: str) -> tuple[str, ...]:
    """The names in a text, for entries that share one rule."""
    return tuple(text.split())
