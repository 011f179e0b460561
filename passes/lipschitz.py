"""Bounds every example's gradient by the sweep of the graph, in place of clipping."""

from __future__ import annotations

from dataclasses import dataclass

from mindveil.passes.clip import usable_weights
from mindveil.passes.edits import Builder
from mindveil.passes.graph import StepGraph
from mindveil.passes.infer import Typed, where
from mindveil.passes.marker import Marker, each_gradient, read_marker, with_gradients
from mindveil.passes.norms import Norm
from mindveil.passes.operations.stated import STATEMENT
from mindveil.passes.privacy import Bounded, PrivacyError, Public, Released, Summed
from mindveil.passes.sweep import Sweep
from mindveil.passes.terms import Terms

__all__ = ["SHARE", "BoundSums", "ShareNoise", "gradient_bounds"]

#: Before a parameter's name: the control that holds its share of the noise.
SHARE = "share."


def gradient_bounds(typed: Typed) -> dict[str, Norm]:
    """By parameter name, the bound of one example's gradient.

    Raises:
        PrivacyError: a gradient is no sum over examples, or no bound of it is known.
    """
    sweep, found = Sweep(typed), {}
    for name, gradient in read_marker(typed.graph).gradients.items():
        kind = typed.types[gradient]
        if isinstance(kind, Summed):
            found[name] = sweep.gradient(name, gradient)
        elif not isinstance(kind, Public):
            raise PrivacyError(f"the gradient of {name} is {kind}, not a sum over examples{where(gradient)}")
    if not found:
        raise PrivacyError("no gradient depends on the examples; is the loss computed from the network's output?")
    return found


@dataclass(frozen=True, slots=True)
class BoundSums:
    """``sum_i w_i g_i``, which one record more or less moves by at most C, all parameters together.

    Where the step has shares of the noise, each sum is divided by its share; `ShareNoise` takes that back.

    C is the Parameter ``clip_norm``, which the trainer sets from the bounds of the sweep before each step. The weights
    w are held inside [0, 1]. Statements of bounds leave the graph: they have been read.

    Attributes:
        bounded: parameters whose gradients `gradient_bounds` found bounds of, in this graph.
    """

    bounded: frozenset[str]
    name: str = "bound"

    def __call__(self, typed: Typed) -> StepGraph:
        marker = read_marker(typed.graph)
        build = Builder(typed.graph)
        terms = Terms(build, typed.types, typed.batch)
        weights = usable_weights(build, marker, typed.batch)
        stamp = Bounded(build[marker.controls["clip_norm"]].name, group="all parameters")
        gradients = dict(marker.gradients)
        for name in self.bounded:
            total = terms.weighted(gradients[name], weights)
            if SHARE + name in marker.controls:
                total = build.binary("RealDiv", total, marker.controls[SHARE + name])
            gradients[name] = build.stamp(total, stamp)
        with_gradients(build, marker, gradients)
        return _without_statements(build)


@dataclass(frozen=True, slots=True)
class ShareNoise:
    """Multiplies every noisy gradient by its share: noise of one strength becomes noise of one strength each."""

    name: str = "share"

    def __call__(self, typed: Typed) -> StepGraph:
        def shared(build: Builder, marker: Marker, name: str) -> int:
            g = marker.gradients[name]
            return build.binary("Mul", g, marker.controls[SHARE + name]) if isinstance(typed.types[g], Released) else g

        return each_gradient(typed.graph, shared)


def _without_statements(build: Builder) -> StepGraph:
    stated = {n.id: n.inputs[0] for n in build.graph.find(STATEMENT)}
    instead = {}
    for node, source in stated.items():
        while source in stated:
            source = stated[source]
        instead[node] = source
    return build.with_replaced(instead)
