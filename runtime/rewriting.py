"""Chooses the passes for a step of each kind, and runs them over its graph."""

from __future__ import annotations

from collections.abc import MutableMapping

from mindveil.passes.adapt import AdaptClipNorm
from mindveil.passes.average import Average
from mindveil.passes.clip import Clip
from mindveil.passes.graph import StepGraph
from mindveil.passes.infer import Declared, infer
from mindveil.passes.lipschitz import BoundSums, gradient_bounds
from mindveil.passes.mask import Mask
from mindveil.passes.noise import Noise
from mindveil.passes.norms import Norm
from mindveil.passes.pipeline import Compiled, GraphPass, Purpose, run
from mindveil.passes.sums import AddSums
from mindveil.runtime.kinds import PrivatePolicy
from mindveil.runtime.lipschitz import LipschitzDP
from mindveil.runtime.step_cell import Kind

__all__ = ["rewrite"]


def rewrite(
    graph: StepGraph,
    kind: Kind,
    policy: PrivatePolicy | None,
    masked: bool,
    declared: Declared,
    bounds: MutableMapping[str, Norm],
) -> Compiled:
    """The graph with the policies built in.

    Args:
        masked: whether weights have masks.
        declared: what the graph itself cannot say of its untrained Parameters.
        bounds: filled with what the sweep found, where it takes the place of clipping.

    Raises:
        PrivacyError: the step cannot be shown to be private.
    """
    passes: list[GraphPass] = []
    if policy:
        passes.append(_bounding(graph, policy, declared, bounds))
        passes += [AddSums()] if kind == "finish" else []
        passes += [Noise(policy.sampling_rate)] if kind != "add" else []
    if masked and kind != "add":
        passes.append(Mask())
    if policy and kind != "add":
        passes.append(Average(policy.expected_batch))
        passes += _adapting(policy)
    purpose: Purpose = "accumulate" if kind == "add" else "private" if policy else "other"
    return run(graph, passes, purpose=purpose, declared=declared)


def _bounding(
    graph: StepGraph, policy: PrivatePolicy, declared: Declared, bounds: MutableMapping[str, Norm]
) -> GraphPass:
    """What bounds each example's part of the gradients: clipping, or the sweep of this graph."""
    if isinstance(policy, LipschitzDP):
        bounds.update(gradient_bounds(infer(graph, declared)))
        return BoundSums(dict(bounds))
    return Clip(policy.clipping, counted=policy.adaptive is not None)


def _adapting(policy: PrivatePolicy) -> list[GraphPass]:
    rule, rate = policy.adaptive, policy.sampling_rate
    if rule is None:
        return []
    return [AdaptClipNorm(rule.target_quantile, rule.learning_rate, policy.expected_batch, rate, rule.rule)]
