"""Clips every example's gradient to one norm and sums them, in the one backward pass that the step already has."""

from __future__ import annotations

from dataclasses import dataclass

from mindveil.passes.edits import Builder
from mindveil.passes.graph import StepGraph, TensorType
from mindveil.passes.infer import Typed, where
from mindveil.passes.marker import Marker, read_marker, with_gradients
from mindveil.passes.privacy import Bounded, Mixed, Privacy, PrivacyError, Public, Summed
from mindveil.passes.terms import Terms

__all__ = ["Clip"]

#: Below this norm a gradient is zero for all purposes; it keeps C / norm finite.
TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Clip:
    """``sum_i w_i g_i min(1, C / |g_i|)``: the L2 norm is taken over all parameters together.

    An example whose gradient is not finite contributes nothing, so that the sum moves by at most C whatever one
    record holds. The weights w are held inside [0, 1].

    Source: Abadi et al. 2016, algorithm 1; the norms from one backward pass as in Goodfellow 2015, the weighted sum by
    scaling the output gradients (book-keeping, Bu et al. 2022).

    """

    name: str = "clip"

    def __call__(self, typed: Typed) -> StepGraph:
        graph, types = typed.graph, typed.types
        marker = read_marker(graph)
        wanted = _clippable(graph, types, marker)
        build = Builder(graph)
        terms = Terms(build, types, typed.batch)
        total = terms.add([terms.norm(g) for g in wanted.values()])
        factors = _factors(build, total, marker, terms.batch)
        clipped = dict(marker.gradients)
        bound = Bounded(graph[marker.controls["clip_norm"]].name, group="all parameters")
        for name, gradient in wanted.items():
            clipped[name] = build.stamp(terms.weighted(gradient, factors), bound)
        return with_gradients(build, marker, clipped)


def _clippable(graph: StepGraph, types: dict[int, Privacy], marker: Marker) -> dict[str, int]:
    """The gradients that depend on the examples; every one that cannot be clipped is named in the error."""
    wanted, refused = {}, []
    for name, gradient in marker.gradients.items():
        kind = types[gradient]
        if isinstance(kind, Summed):
            wanted[name] = gradient
        elif isinstance(kind, Mixed):
            refused.append(f"{name}: {kind.why}{where(kind.node)}")
        elif not isinstance(kind, Public):
            node = graph[gradient]
            refused.append(
                f"{name}: its gradient, {node.describe()}, is {kind}, not a sum over examples{where(gradient)}"
            )
    if refused:
        raise PrivacyError("these gradients cannot be clipped example by example:\n- " + "\n- ".join(refused))
    if not wanted:
        raise PrivacyError("no gradient depends on the examples; is the loss computed from the network's output?")
    return wanted


def _factors(build: Builder, squared: int, marker: Marker, batch: int) -> int:
    """``[B, 1]``: the weight of each example's term."""
    bound = marker.controls["clip_norm"]
    finite = build.op("IsFinite", [squared], TensorType(build[squared].shape, "Bool"))
    usable = build.cast(finite)
    norm = build.binary("Maximum", build.unary("Sqrt", build.finite(squared)), build.scalar(TINY))
    factor = build.binary("Minimum", build.binary("RealDiv", bound, norm), build.scalar(1.0))
    weights = build.cast(build.reshape(marker.weights, (batch, 1)))
    inside = build.binary(
        "Maximum", build.binary("Minimum", build.finite(weights), build.scalar(1.0)), build.scalar(0.0)
    )
    return build.binary("Mul", build.binary("Mul", factor, usable), inside)
