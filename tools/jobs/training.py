"""Trains one model as a run's configuration says: public, suppressed or private."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, cos, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from mindveil.accountant import Ledger
from mindveil.runtime.batches import Batches, PoissonBatches, ShuffledBatches
from mindveil.runtime.card import Mode, PrivacyCard
from mindveil.runtime.datasets import ImageData
from mindveil.runtime.kinds import Policy
from mindveil.runtime.policies import DPSGD, Suppression
from mindveil.runtime.training import History, Point, accuracy, train
from mindveil.tools.cli.config import PrivateConfig, RunConfig, SuppressedConfig
from mindveil.tools.jobs.progress import Progress

__all__ = ["Trained", "load_factory", "train_model"]

#: Seed 002 keeps at least so many weights of these layers of LeNet5.
LENET_MINIMUM = {"conv1.weight": 10, "conv2.weight": 50, "fc3.weight": 50}


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network with all that is known of its training."""

    mode: Mode
    network: Any
    step: Any
    card: PrivacyCard
    history: History
    seconds: float


@dataclass(frozen=True)
class _Plan:
    batches: Batches
    policies: list[Policy]
    learning_rate: float
    momentum: float
    per_epoch: int
    total: int
    delta: float


def train_model(
    config: RunConfig,
    mode: Mode,
    data: ImageData,
    progress: Progress,
    *,
    suppressed: bool | None = None,
    ledger_path: Path | None = None,
    seed: int | None = None,
) -> Trained:
    """Trains the configured network on ``data``.

    Args:
        suppressed: also set weights to zero, as ``[suppressed]`` says, in a private run; by default as ``mode`` says.
        ledger_path: where a private run writes what it spends; a file that does not exist yet.
        seed: of the initial weights and of public batches; the configuration's by default. Private noise and Poisson
            sampling always come from the operating system.

    Raises:
        PluginError: a private or suppressed run, and the graph passes cannot be built here.
        PrivacyError: the network cannot be trained privately.
    """
    import mindspore as ms
    from mindspore import nn

    from mindveil.runtime.step import PrivateStep

    started = time.perf_counter()
    seed = config.seed if seed is None else seed
    ms.set_seed(seed)
    np.random.seed(seed)
    network = load_factory(config.network)()
    plan = _plan(config, mode, data, network, seed, suppressed)
    ledger = _ledger(config, plan, data, ledger_path) if mode == "private" and ledger_path else None
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    optimizer = nn.SGD(network.trainable_params(), _learning_rate(plan, config, mode), momentum=plan.momentum)
    try:
        step = PrivateStep(network, loss, optimizer, plan.policies, ledger=ledger)
        progress.begin(f"train {_what(mode, suppressed)}", plan.total)
        history = train(
            step,
            plan.batches,
            delta=plan.delta,
            evaluate=lambda: accuracy(network, data.test_images, data.test_labels),
            evaluate_every=plan.per_epoch,
            on_point=_reporter(progress, plan),
        )
        card = step.card(plan.delta)
    finally:
        if ledger is not None:
            ledger.close()
    network.set_train(False)
    return Trained(mode, network, step, card, history, time.perf_counter() - started)


def load_factory(name: str | None) -> Callable[[], Any]:
    """The callable ``package.module:factory``; LeNet5 for None.

    Raises:
        ValueError: there is no such module or callable.
    """
    if name is None:
        from mindveil.runtime.networks import LeNet5

        return LeNet5
    module, _, factory = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"network {name!r} cannot be loaded: {error}; it is package.module:factory, on Python's path"
        ) from error
    if not callable(found):
        raise ValueError(f"network {name!r} is {type(found).__name__}, and must be a callable that returns a Cell")
    return found  # type: ignore[no-any-return]


def _what(mode: Mode, suppressed: bool | None) -> str:
    return "suppressed and private" if mode == "private" and suppressed else mode


def _plan(
    config: RunConfig, mode: Mode, data: ImageData, network: Any, seed: int, suppressed: bool | None = None
) -> _Plan:
    arrays = (data.train_images, data.train_labels)
    if mode == "private":
        plan = _private_plan(config.private, arrays)
        if suppressed:
            plan.policies.insert(0, _suppression(config.suppressed, config, network, plan.total))
        return plan
    settings = config.suppressed if mode == "suppressed" else config.public
    batches = ShuffledBatches(arrays, batch_size=settings.batch_size, epochs=settings.epochs, seed=seed)
    per_epoch = ceil(len(arrays[0]) / settings.batch_size)
    total = per_epoch * settings.epochs
    policies: list[Policy] = []
    if isinstance(settings, SuppressedConfig):
        policies = [_suppression(settings, config, network, total)]
    return _Plan(batches, policies, settings.learning_rate, settings.momentum, per_epoch, total, config.private.delta)


def _learning_rate(plan: _Plan, config: RunConfig, mode: Mode) -> float | list[float]:
    """Falling to zero along half a cosine, so that the last steps do not decide the accuracy; constant under noise.

    A suppressed network keeps its rate while weights are taken away, and falls once the sparsity is reached.

    Source: Loshchilov and Hutter 2017, "SGDR", without restarts.
    """
    if mode == "private":
        return plan.learning_rate
    begin = round(config.suppressed.end * plan.total) if mode == "suppressed" else 0
    falling = [max(0, t - begin) / (plan.total - begin) for t in range(plan.total)]
    return [plan.learning_rate * (1 + cos(pi * share)) / 2 for share in falling]


def _suppression(settings: SuppressedConfig, config: RunConfig, network: Any, total: int) -> Suppression:
    layers = settings.layers or tuple(p.name for p in network.trainable_params() if p.ndim >= 2)
    minimum = {k: v for k, v in LENET_MINIMUM.items() if k in layers} if config.network is None else {}
    end = max(1, round(total * settings.end))
    start = min(round(total * settings.start), end - 1)
    return Suppression(sparsity=settings.sparsity, steps=end, layers=layers, start=start, minimum=minimum)


def _private_plan(settings: PrivateConfig, arrays: tuple[Any, Any]) -> _Plan:
    from mindveil.accountant import noise_multiplier

    size = len(arrays[0])
    rate = min(1.0, settings.batch_size / size)
    noise = settings.noise_multiplier
    if noise is None:
        noise = noise_multiplier(
            target_epsilon=settings.epsilon, delta=settings.delta, sampling_rate=rate, steps=settings.steps
        )
    physical = settings.physical_batch or min(size, ceil((size * rate + 4 * sqrt(size * rate * (1 - rate))) / 8) * 8)
    batches = PoissonBatches(arrays, sampling_rate=rate, physical_batch=physical, steps=settings.steps)
    policy = DPSGD(settings.clip_norm, noise, rate, size)
    per_epoch = max(1, round(1 / rate))
    return _Plan(
        batches, [policy], settings.learning_rate, settings.momentum, per_epoch, settings.steps, settings.delta
    )


def _ledger(config: RunConfig, plan: _Plan, data: ImageData, path: Path) -> Ledger:
    """The ledger; with a target only where the noise was chosen for one."""
    target = config.private.epsilon if config.private.noise_multiplier is None else None
    return Ledger.create(
        path,
        dataset_id=data.dataset_id,
        dataset_size=len(data.train_images),
        target_epsilon=target,
        target_delta=plan.delta if target is not None else None,
    )


def _reporter(progress: Progress, plan: _Plan) -> Callable[[Point], None]:
    last: list[float] = []

    def report(point: Point) -> None:
        if point.accuracy is not None:
            last[:] = [point.accuracy]
        parts = [f"loss {point.loss:.3f}"]
        parts += [f"accuracy {last[0]:.1%}"] if last else []
        parts += [f"sparsity {point.sparsity:.1%}"] if point.sparsity else []
        parts += [f"epsilon {point.epsilon:.3f}"] if point.epsilon is not None else []
        progress.advance(", ".join(parts))
        if point.accuracy is not None and point.epsilon is not None:
            progress.say(
                f"epoch {round(point.step / plan.per_epoch)}: epsilon {point.epsilon:.4f} at delta {plan.delta:g} "
                f"(RDP, improved conversion), accuracy {point.accuracy:.1%}"
            )

    return report
