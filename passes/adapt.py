"""Moves the clip norm towards a quantile of the gradient norms, from a noisy count that is accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mindveil.passes.edits import Builder
from mindveil.passes.graph import StepGraph
from mindveil.passes.infer import Typed
from mindveil.passes.marker import read_marker, with_count
from mindveil.passes.noise import Generator, noise_node
from mindveil.passes.privacy import Bounded, PrivacyError, is_free
from mindveil.passes.state import Writer

__all__ = ["AdaptClipNorm", "NoiseCount", "Rule"]

Rule = Literal["geometric", "linear"]


@dataclass(frozen=True, slots=True)
class NoiseCount:
    """``count + N(0, count_noise^2)``, in the place of the count; ``workers`` and ``generator`` as for `Noise`."""

    sampling_rate: float
    workers: int = 1
    generator: Generator = "kernel"
    name: str = "count"

    def __call__(self, typed: Typed) -> StepGraph:
        marker = read_marker(typed.graph)
        if marker.count is None or not isinstance(typed.types[marker.count], Bounded):
            raise PrivacyError("no bounded count of unclipped examples is there to release; clip with counted=True")
        build = Builder(typed.graph)
        controls = marker.controls
        count = build.reshape(marker.count, (1,))
        build.stamp(count, typed.types[marker.count])
        noisy = noise_node(
            build,
            controls["count_noise"],
            controls["count_bound"],
            controls["count_key"],
            [count],
            typed.batch * self.workers,
            self.sampling_rate,
            "count",
            self.generator,
        )[0]
        return with_count(build, marker, noisy)


@dataclass(frozen=True, slots=True)
class AdaptClipNorm:
    """``b = 1/2 + noisy count / expected``, then the next clip norm from b.

    Geometric: ``C exp(-learning_rate (b - target))``. Linear: ``C - learning_rate (b - target)``. The new norm is
    written to a Parameter of its own, which the trainer copies before the next step: within a step C stays what the
    noise was scaled by.

    Attributes:
        target: the share of examples that should stay unclipped.
        expected: expected number of examples in a batch, a constant.

    Source: Andrew, Thakkar, McMahan and Ramaswamy 2021, algorithm 1 (geometric); the linear rule is MindArmour's.
    """

    target: float
    learning_rate: float
    expected: float
    rule: Rule = "geometric"
    name: str = "adapt"

    def __call__(self, typed: Typed) -> StepGraph:
        marker = read_marker(typed.graph)
        if marker.count is None or not is_free(typed.types[marker.count]):
            raise PrivacyError("there is no noisy count of unclipped examples to adapt to; release one first")
        build = Builder(typed.graph)
        noisy = build.reshape(marker.count, ())
        share = build.binary("Add", build.binary("Mul", noisy, build.scalar(1 / self.expected)), build.scalar(0.5))
        move = build.binary(
            "Mul", build.binary("Sub", share, build.scalar(self.target)), build.scalar(self.learning_rate)
        )
        norm = marker.controls["clip_norm"]
        if self.rule == "geometric":
            factor = build.unary("Exp", build.binary("Sub", build.scalar(0.0), move))
            following = build.binary("Mul", norm, factor)
        else:
            following = build.binary("Sub", norm, move)
        writer = Writer(typed.graph, build)
        writer.write(typed.graph[marker.controls["next_clip_norm"]].name, following)
        writer.finish()
        return build.graph
