"""Runs passes over a step graph in order, checks after each, and says what the finished graph releases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mindveil.passes.fuse import fuse
from mindveil.passes.graph import StepGraph
from mindveil.passes.infer import Declared, Typed, check, infer
from mindveil.passes.lower import lower
from mindveil.passes.marker import remove_marker
from mindveil.passes.noise import Release, read_releases
from mindveil.passes.norms import Norm
from mindveil.passes.operations import OPERATIONS
from mindveil.passes.privacy import PrivacyError

__all__ = ["Compiled", "GraphPass", "Purpose", "Trace", "run"]


class GraphPass(Protocol):
    """A function from typed graph to graph that leaves its input alone."""

    @property
    def name(self) -> str: ...

    def __call__(self, typed: Typed) -> StepGraph: ...


@dataclass(frozen=True, slots=True)
class Trace:
    """What one pass did: the number of live operations before and after it."""

    name: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rewritten step: its typed graph, what each run releases, and what each pass did.

    Attributes:
        fast: the graph that runs: the typed one with kernels in place of slow operations and of chains.
        bounds: by parameter name, of one example's gradient, where a sweep found them in place of clipping.
    """

    typed: Typed
    fast: StepGraph
    releases: tuple[Release, ...]
    trace: tuple[Trace, ...]
    bounds: Mapping[str, Norm] = field(default_factory=dict)


#: ``private``: nothing unreleased may reach a Parameter. ``accumulate``: clipped sums may reach the declared sums.
#: ``other``: types are found but not enforced.
Purpose = Literal["private", "accumulate", "other"]


def run(graph: StepGraph, passes: Sequence[GraphPass], *, purpose: Purpose, declared: Declared) -> Compiled:
    """The graph after all passes, without its marker.

    Raises:
        PrivacyError: a pass refused, dropped or merged a random operation, or the finished graph is not private.
    """
    trace = []
    typed = infer(graph, declared)
    for step in [*passes, _Release()]:
        try:
            after = infer(step(typed), declared)
            _keeps_randomness(typed.graph, after.graph)
        except PrivacyError as error:
            raise PrivacyError(f"pass {step.name}: {error}") from error
        trace.append(Trace(step.name, len(typed.graph.operations), len(after.graph.operations)))
        typed = after
    if purpose != "other":
        check(typed, declared.sums if purpose == "accumulate" else frozenset())
    releases = read_releases(typed)
    if purpose == "private" and not releases:
        raise PrivacyError("a private step must release something through noise, but its graph holds no noise node")
    return Compiled(typed, fuse(lower(typed), typed), releases, tuple(trace))


@dataclass(frozen=True, slots=True)
class _Release:
    """The last pass: the optimizer reads the gradients themselves, and the marker is gone."""

    name: str = "release"

    def __call__(self, typed: Typed) -> StepGraph:
        return remove_marker(typed.graph)


def _keeps_randomness(before: StepGraph, after: StepGraph) -> None:
    """Merging or dropping a random node changes the distribution of what is released."""
    old, new = _random(before), _random(after)
    if old - new:
        raise PrivacyError(f"random operations were lost: {dict(old - new)}")


def _random(graph: StepGraph) -> Counter[str]:
    return Counter(n.op for n in graph.operations if n.op in OPERATIONS and OPERATIONS[n.op].effect == "random")
