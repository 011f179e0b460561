"""Clips every example's gradient and sums them, in the one backward pass that the step already has."""

from __future__ import annotations

from dataclasses import dataclass

from mindveil.passes.clipping import Automatic, Clipping, Flat
from mindveil.passes.edits import Builder
from mindveil.passes.graph import StepGraph, TensorType
from mindveil.passes.infer import Typed, where
from mindveil.passes.marker import Marker, read_marker, with_count, with_gradients, with_not_finite
from mindveil.passes.privacy import Bounded, Mixed, Privacy, PrivacyError, Public, Summed
from mindveil.passes.terms import Terms

__all__ = ["Clip", "usable_weights"]

#: Below this norm a gradient is zero for all purposes; it keeps C / norm finite.
TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Clip:
    """``sum_i w_i clip(g_i)``, which one record more or less moves by at most C.

    An example whose gradient is not finite contributes nothing, so that the bound holds whatever one record holds. The
    weights w are held inside [0, 1].

    Where a parameter has a mask, g_i is what the mask leaves of the gradient: suppressed weights take no part of C.

    Attributes:
        style: how one gradient is bounded.
        counted: also count the examples that stay below C, for adaptive clipping: ``sum_i w_i ([|g_i| <= C] - 1/2)``,
            which one record moves by 1/2.

    Source: Abadi et al. 2016, algorithm 1; the norms from one backward pass as in Goodfellow 2015, the weighted sum by
    scaling the output gradients (book-keeping, Bu et al. 2022); the count from Andrew et al. 2021.
    """

    style: Clipping = Flat()  # noqa: RUF009  a frozen value
    counted: bool = False
    name: str = "clip"

    def __call__(self, typed: Typed) -> StepGraph:
        graph, types = typed.graph, typed.types
        marker = read_marker(graph)
        wanted = _clippable(graph, types, marker)
        build = Builder(graph)
        terms = Terms(build, types, typed.batch)
        masks = marker.masks
        squared = {
            name: terms.masked_norm(gradient, masks[name]) if name in masks else terms.norm(gradient)
            for name, gradient in wanted.items()
        }
        total = terms.add(list(squared.values()))
        weights = _finite_weights(build, total, marker, typed.batch)
        clipped = dict(marker.gradients)
        bound = Bounded(graph[marker.controls["clip_norm"]].name, group="all parameters")
        for names, share in self.style.shares(list(wanted)):
            group = terms.add([squared[n] for n in names])
            factors = build.binary("Mul", self._factor(build, group, marker, share), weights)
            for name in names:
                sums = terms.weighted(wanted[name], factors)
                if name in masks:
                    sums = build.binary("Mul", sums, masks[name])
                clipped[name] = build.stamp(sums, bound)
        with_gradients(build, marker, clipped)
        with_not_finite(build, marker, _not_finite(build, total, marker, typed.batch))
        if self.counted:
            with_count(build, marker, _count(build, total, weights, marker, terms))
        return build.graph

    def _factor(self, build: Builder, squared: int, marker: Marker, share: float) -> int:
        """``[B, 1]``: what bounds a term of this squared norm by ``share * C``."""
        bound = build.binary("Mul", marker.controls["clip_norm"], build.scalar(share))
        norm = build.unary("Sqrt", build.finite(squared))
        if isinstance(self.style, Automatic):
            return build.binary("RealDiv", bound, build.binary("Add", norm, build.scalar(self.style.stability)))
        least = build.binary("Maximum", norm, build.scalar(TINY))
        return build.binary("Minimum", build.binary("RealDiv", bound, least), build.scalar(1.0))


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


def usable_weights(build: Builder, marker: Marker, batch: int) -> int:
    """``[B, 1]``: the weight of each example, inside [0, 1]."""
    weights = build.finite(build.cast(build.reshape(marker.weights, (batch, 1))))
    return build.binary("Maximum", build.binary("Minimum", weights, build.scalar(1.0)), build.scalar(0.0))


def _finite_weights(build: Builder, squared: int, marker: Marker, batch: int) -> int:
    """The same, and 0 where any part of an example's gradient is not finite."""
    finite = build.op("IsFinite", [squared], TensorType(build[squared].shape, "Bool"))
    return build.binary("Mul", usable_weights(build, marker, batch), build.cast(finite))


def _not_finite(build: Builder, squared: int, marker: Marker, batch: int) -> int:
    """A scalar: the real examples with a gradient that is not finite. It is not released."""
    real = build.unary("Ceil", usable_weights(build, marker, batch))
    finite = build.op("IsFinite", [squared], TensorType(build[squared].shape, "Bool"))
    lost = build.binary("Mul", real, build.binary("Sub", build.scalar(1.0), build.cast(finite)))
    return build.total(build.reshape(lost, (batch,)), [0])


def _count(build: Builder, squared: int, weights: int, marker: Marker, terms: Terms) -> int:
    """A scalar: the examples below the bound, each less 1/2, which halves what one record can change."""
    norm = build.unary("Sqrt", build.finite(squared))
    below = build.op("LessEqual", [norm, marker.controls["clip_norm"]], TensorType(build[norm].shape, "Bool"))
    shifted = build.binary("Sub", build.cast(below), build.scalar(0.5))
    products = build.reshape(build.binary("Mul", shifted, weights), (terms.batch,))
    count = build.total(products, [0])
    return build.stamp(count, Bounded(build[marker.controls["count_bound"]].name, group="unclipped examples"))
