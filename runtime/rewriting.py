"""Chooses the passes for a step of each kind, and runs them over its graph."""

from __future__ import annotations

from dataclasses import replace

from mindveil.passes.adapt import AdaptClipNorm, NoiseCount
from mindveil.passes.average import Average
from mindveil.passes.clip import Clip
from mindveil.passes.graph import StepGraph
from mindveil.passes.infer import Declared, infer
from mindveil.passes.lipschitz import BoundSums, ShareNoise, gradient_bounds
from mindveil.passes.mask import Mask
from mindveil.passes.noise import Noise
from mindveil.passes.pipeline import Compiled, GraphPass, Purpose, run
from mindveil.passes.sums import AddSums
from mindveil.passes.workers import FromFirstWorker, SumOverWorkers
from mindveil.runtime.kinds import PrivatePolicy, generator_of
from mindveil.runtime.lipschitz import LipschitzDP, shared
from mindveil.runtime.step_cell import Kind

__all__ = ["rewrite"]


def rewrite(
    graph: StepGraph,
    kind: Kind,
    policy: PrivatePolicy | None,
    masked: bool,
    declared: Declared,
    group: str | None = None,
) -> Compiled:
    """The graph with the policies built in.

    Args:
        group: MindSpore's name of the workers that train together; None for one alone.
        masked: whether weights have masks.
        declared: what the graph itself cannot say of its untrained Parameters.

    Raises:
        PrivacyError: the step cannot be shown to be private.
    """
    bounds = gradient_bounds(infer(graph, declared)) if isinstance(policy, LipschitzDP) else {}
    passes: list[GraphPass] = []
    if isinstance(policy, LipschitzDP):
        passes.append(BoundSums(frozenset(bounds)))
    elif policy:
        passes.append(Clip(policy.clipping, counted=policy.adaptive is not None))
    if policy:
        passes += [AddSums()] if kind == "finish" else []
        passes += _releasing(policy, group) if kind != "add" else []
    if masked and kind != "add":
        passes.append(Mask())
    if policy and kind != "add":
        passes.append(Average(policy.expected_batch))
        passes += _adapting(policy)
    purpose: Purpose = "accumulate" if kind == "add" else "private" if policy else "other"
    return replace(run(graph, passes, purpose=purpose, declared=declared), bounds=bounds)


def _releasing(policy: PrivatePolicy, group: str | None) -> list[GraphPass]:
    passes: list[GraphPass] = [SumOverWorkers(group)] if group else []
    generator = generator_of(policy)
    passes.append(Noise(policy.sampling_rate, policy.workers, generator))
    passes += [NoiseCount(policy.sampling_rate, policy.workers, generator)] if policy.adaptive else []
    passes += [ShareNoise()] if shared(policy) else []
    return [*passes, FromFirstWorker(group)] if group else passes


def _adapting(policy: PrivatePolicy) -> list[GraphPass]:
    rule = policy.adaptive
    return [AdaptClipNorm(rule.target_quantile, rule.learning_rate, policy.expected_batch, rule.rule)] if rule else []
