"""Adds Gaussian noise to the clipped gradients, all of them in one node, and reads back what a graph releases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import Literal

from mindveil.passes import device_noise as device
from mindveil.passes.bridge.kernels import NOISE, custom
from mindveil.passes.edits import Builder
from mindveil.passes.graph import Constant, Node, StepGraph, TensorType
from mindveil.passes.infer import Typed
from mindveil.passes.marker import read_marker, with_gradients
from mindveil.passes.privacy import Bounded, Many, PrivacyError, Public, Released

__all__ = ["GRID", "Generator", "Noise", "Release", "is_noise", "noise_node", "read_releases"]

#: Cells of the kernel's grid in one standard deviation; gradient and noise are added as whole numbers of cells.
GRID = 2.0**20
#: Where noise comes from.
Generator = Literal["kernel", "device"]


@dataclass(frozen=True, slots=True)
class Release:
    """One noisy sum that a graph gives out at every run.

    Attributes:
        noise_multiplier: name of the Parameter with the noise's standard deviation over the sensitivity.
        clip_norm: name of the Parameter with the sensitivity: the L2 norm that one record adds or removes.
        sampling_rate: probability with which each record is in a step's batch.
        tensors: how many tensors the noise covers.
        what: ``gradients``, or ``count`` for the number of unclipped examples.
    """

    noise_multiplier: str
    clip_norm: str
    sampling_rate: float
    tensors: int
    what: str


@dataclass(frozen=True, slots=True)
class Noise:
    """``g + N(0, (z C)^2)`` for every clipped gradient, with z and C read from Parameters at each run.

    The standard deviation is larger than z C by what float32 arithmetic and the rounding to the kernel's grid add to
    the sensitivity (0.13 % at z = 1 and 1.9 million parameters), so that z keeps its meaning: see `_deviation`.

    Attributes:
        workers: how many batches the sums are over.
        generator: ``kernel``: keyed by the operating system, on a grid. ``device``: MindSpore's ``StandardNormal``,
            where there is no such kernel; its numbers are what the device gives, and sums are rounded as floats are.

    Source: Abadi et al. 2016, algorithm 1; the grid answers Mironov 2012.
    """

    sampling_rate: float
    workers: int = 1
    generator: Generator = "kernel"
    name: str = "noise"

    def __call__(self, typed: Typed) -> StepGraph:
        graph, types = typed.graph, typed.types
        marker = read_marker(graph)
        noisy = {name: g for name, g in marker.gradients.items() if not isinstance(types[g], Public)}
        for name, g in noisy.items():
            if not isinstance(types[g], Bounded):
                raise PrivacyError(
                    f"the gradient of {name} is {types[g]}: noise on an unbounded value releases it; clip first"
                )
        build = Builder(graph)
        controls = marker.controls
        outputs = noise_node(
            build,
            controls["noise_multiplier"],
            controls["clip_norm"],
            controls["noise_key"],
            list(noisy.values()),
            typed.batch * self.workers,
            self.sampling_rate,
            "gradients",
            self.generator,
        )
        return with_gradients(build, marker, marker.gradients | dict(zip(noisy, outputs, strict=True)))


def noise_node(
    build: Builder,
    multiplier: int,
    bound: int,
    key: int,
    values: list[int],
    batch: int,
    sampling_rate: float,
    what: str,
    generator: Generator = "kernel",
) -> list[int]:
    """Adds noise to all of ``values``, by one kernel or by the device; the noisy ones, stamped as released.

    Args:
        multiplier, bound: nodes of the Parameters z and C; key: node of the kernel's key slot and launch number.
        batch: rows of all batches in the sums, for what rounding adds to the sensitivity.
        what: what is released, kept with the node.
    """
    types = [build[v].type for v in values]
    sigma = _deviation(build, multiplier, bound, sum(prod(build[v].shape) for v in values), batch)
    about = {"sampling_rate": Constant("float", sampling_rate), "released": Constant("str", what)}
    released = Released(f"Gaussian on {what}")
    if generator == "device":
        return [device.noisy(build, v, sigma, about, released) for v in values]
    attrs = {**custom("noise", NOISE), **about}
    joint = TensorType(elements=tuple(types)) if len(types) > 1 else types[0]
    node = build.unique("Custom", [sigma, key, *values], None, joint, attrs)
    if len(types) == 1:
        return [build.stamp(node, released)]
    build.stamp(node, Many((released,) * len(types)))
    return [build.op("TupleGetItem", [node, build.constant("int", k)], t) for k, t in enumerate(types)]


def _deviation(build: Builder, multiplier: int, bound: int, size: int, batch: int) -> int:
    """``z C (1 + r) / (1 - z k)`` for ``size`` values of ``batch`` examples.

    Rounding two neighbouring sums to the grid moves each coordinate by up to one cell of sigma / 2^20, so that the
    sensitivity is at most ``C (1 + r) + k sigma`` with ``k = sqrt(size) / 2^20`` and r the relative error of float32
    norms, clip factors and a sum over the batch. Solving ``sigma = z * sensitivity`` for sigma gives the formula. Where
    ``z k >= 1`` no sigma does, the quotient is negative or infinite, and the kernel refuses it.
    """
    rounding = 1e-5 + batch * 2.0**-23
    plain = build.binary("Mul", build.binary("Mul", multiplier, bound), build.scalar(1.0 + rounding))
    cells = build.binary("Mul", multiplier, build.scalar(sqrt(size) / GRID))
    return build.binary("RealDiv", plain, build.binary("Sub", build.scalar(1.0), cells))


def read_releases(typed: Typed) -> tuple[Release, ...]:
    """What the graph releases at every run, read off its noise nodes.

    Raises:
        PrivacyError: a noise node does not have the form that the accounting is right for.
    """
    found = [_release(typed, n, n.inputs[0], n.inputs[2:]) for n in typed.graph.operations if is_kernel(n)]
    found += [_release(typed, *d) for d in device.found(typed.graph)]
    whole = {r.what: replace(r, tensors=sum(s.tensors for s in found if s.what == r.what)) for r in found}
    if len({replace(r, tensors=0) for r in found}) != len(whole):
        raise PrivacyError("tensors of one release have noise of different strength")
    return tuple(whole.values())


def is_noise(node: Node) -> bool:
    """Whether a node is where noise comes from."""
    return is_kernel(node) or device.is_source(node)


def is_kernel(node: Node) -> bool:
    """Whether a node is the kernel that adds noise."""
    name = node.attrs.get("func_name")
    return node.op == "Custom" and str(name.value if isinstance(name, Constant) else name).endswith(":" + NOISE)


def _release(typed: Typed, node: Node, sigma: int, values: Sequence[int]) -> Release:
    """What is released where ``node`` adds noise of deviation ``sigma`` to ``values``."""
    multiplier, bound = _scale(typed.graph, typed.graph[sigma])
    sums = [typed.types[i] for i in values]
    bounds = {kind for kind in sums if isinstance(kind, Bounded)}
    if len(bounds) != 1 or not all(isinstance(k, Bounded) for k in sums):
        raise PrivacyError(f"{node.describe()} adds noise to values that are not bounded together")
    by = next(iter(bounds)).l2
    if by != bound:
        raise PrivacyError(f"the noise is scaled by {bound}, but the gradients are bounded by {by}")
    rate, what = (node.attrs[k].value for k in ("sampling_rate", "released"))
    return Release(multiplier, bound, float(rate), len(sums), str(what))


def _scale(graph: StepGraph, sigma: Node) -> tuple[str, str]:
    """The Parameters z and C of a standard deviation built by `_deviation`; anything else is refused."""
    if sigma.op == "RealDiv":
        plain, below = graph.inputs(sigma.id)
        if plain.op == "Mul" and below.op == "Sub":
            product, factor = graph.inputs(plain.id)
            one, cells = graph.inputs(below.id)
            enlarges = (
                _number(factor) >= 1.0
                and _number(one) == 1.0
                and cells.op == "Mul"
                and _number(graph.inputs(cells.id)[1]) >= 0
            )
            if product.op == "Mul" and enlarges:
                multiplier, bound = graph.inputs(product.id)
                if multiplier.kind == bound.kind == "parameter" and multiplier.id == graph.inputs(cells.id)[0].id:
                    return multiplier.name, bound.name
    raise PrivacyError(f"the standard deviation {sigma.describe()} is not that of a noise pass")


def _number(node: Node) -> float:
    return float(node.plain) if node.kind == "value" and node.plain is not None else float("nan")
