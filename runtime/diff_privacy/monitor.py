"""The monitors: callbacks that print what a run has cost, and refuse a description that is not the run's."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np
from mindspore.train import Callback, RunContext
from numpy.typing import NDArray

from mindveil import accountant
from mindveil.accountant import PrivacyWarning
from mindveil.accountant.checks import delta_value, positive
from mindveil.runtime.diff_privacy.formula import ORDERS, Told, renyi_delta, renyi_epsilon
from mindveil.runtime.diff_privacy.meter import Meter

__all__ = ["RDPMonitor", "ZCDPMonitor"]

MOST_EPOCHS = 9999


class RDPMonitor(Callback):
    """Prints epsilon and delta as training goes, by Renyi accounting of the events that ran.

    A line is ``epoch: E step: S, delta is D, eps is X`` and, beside it, what MindArmour's formula says of the same
    steps and what that leaves out. Epsilon is an upper bound: under Poisson sampling for one record added or removed,
    for shuffled batches for one record replaced.

    Args:
        num_samples, batch_size: records, and records in a batch.
        initial_noise_multiplier, noise_decay_mode, noise_decay_rate: the noise, whose decay is ``Time``, ``Step``,
            ``Exp`` or None. They are compared with the model's noise, and any difference raises.
        max_eps, max_delta: limits for `max_epoch_suggest`.
        target_delta, target_eps: one of them is given and the other printed; to give ``target_eps`` set
            ``target_delta=None``.
        orders: Renyi orders for MindArmour's formula; the epsilon itself takes the best of all orders.
        per_print_times: steps between two lines.
        dataset_sink_mode: one line an epoch.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        initial_noise_multiplier: float = 1.5,
        max_eps: float | None = 10.0,
        target_delta: float | None = 1e-3,
        max_delta: float | None = None,
        target_eps: float | None = None,
        orders: Sequence[float] | NDArray[Any] | None = None,
        noise_decay_mode: str | None = "Time",
        noise_decay_rate: float = 6e-4,
        per_print_times: int = 50,
        dataset_sink_mode: bool = False,
    ) -> None:
        super().__init__()
        told = Told.of(num_samples, batch_size, initial_noise_multiplier, noise_decay_mode, noise_decay_rate)
        if (target_delta is None) == (target_eps is None):
            raise ValueError(
                f"target_delta is {target_delta} and target_eps is {target_eps}; give exactly one, the other None"
            )
        self.target_delta = None if target_delta is None else _delta("target_delta", target_delta, num_samples)
        self.target_eps = None if target_eps is None else positive("target_eps", target_eps)
        self.max_eps = None if max_eps is None else positive("max_eps", max_eps)
        self.max_delta = None if max_delta is None else _delta("max_delta", max_delta, num_samples)
        self.orders = _orders(orders)
        self.meter = Meter(told, per_print_times, dataset_sink_mode)

    def on_train_begin(self, run_context: RunContext) -> None:
        """Compares what the monitor was told with the model.

        Raises:
            MismatchError: they differ, or the model is no `DPModel`.
        """
        self.meter.begin(run_context.original_args())

    def on_train_step_end(self, run_context: RunContext) -> None:
        """As `step_end`, under the name that MindSpore calls now."""
        self.step_end(run_context)

    def step_end(self, run_context: RunContext) -> None:
        """Prints a line where one belongs.

        Raises:
            MismatchError: a step ran with other noise than the monitor was told of.
        """
        if self.meter.due(run_context.original_args()):
            self._print(run_context.original_args())

    def on_train_end(self, run_context: RunContext) -> None:
        """Prints the last line, so that no step is left out."""
        if self.meter.behind(run_context.original_args()):
            self._print(run_context.original_args())

    def max_epoch_suggest(self) -> int:
        """The most epochs that stay within ``max_eps`` (``max_delta``, where ``target_eps`` is given); 0 if none does.

        It goes by what the monitor was told, for Poisson batches whose records are clipped one by one.

        Raises:
            ValueError: the limit that belongs to the target is None.
        """
        if self.target_delta is not None:
            target, limit = self.target_delta, _given("max_eps", self.max_eps)
            return _most_epochs(lambda steps: accountant.epsilon(self.meter.told.event(steps), target) <= limit, self)
        wanted, limit = _given("target_eps", self.target_eps), _given("max_delta", self.max_delta)
        return _most_epochs(lambda steps: accountant.delta(self.meter.told.event(steps), wanted) <= limit, self)

    def _print(self, run: Any) -> None:
        event = self.meter.told.event(run.train_network.steps_done)
        statement = self.meter.statement(run)
        if self.target_delta is not None:
            delta, epsilon = self.target_delta, statement.epsilon(self.target_delta, "rdp")
            formula = f"eps is {renyi_epsilon(event, self.target_delta, self.orders)}"
        else:
            epsilon = _given("target_eps", self.target_eps)
            delta = statement.delta(epsilon, "rdp")
            formula = f"delta is {renyi_delta(event, epsilon, self.orders)}"
        sys.stdout.write(self.meter.line(run, delta, epsilon, formula))


class ZCDPMonitor(Callback):
    """Prints epsilon and delta as training goes, by zero-concentrated privacy, which sampling does not amplify.

    See `RDPMonitor` for its arguments and its lines.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        initial_noise_multiplier: float = 1.5,
        max_eps: float = 10.0,
        target_delta: float = 1e-3,
        noise_decay_mode: str | None = "Time",
        noise_decay_rate: float = 6e-4,
        per_print_times: int = 50,
        dataset_sink_mode: bool = False,
    ) -> None:
        super().__init__()
        told = Told.of(num_samples, batch_size, initial_noise_multiplier, noise_decay_mode, noise_decay_rate)
        self.max_eps = positive("max_eps", max_eps)
        self.target_delta = _delta("target_delta", target_delta, num_samples)
        self.meter = Meter(told, per_print_times, dataset_sink_mode)

    def on_train_begin(self, run_context: RunContext) -> None:
        """As `RDPMonitor.on_train_begin`."""
        self.meter.begin(run_context.original_args())

    def on_train_step_end(self, run_context: RunContext) -> None:
        """As `step_end`, under the name that MindSpore calls now."""
        self.step_end(run_context)

    def step_end(self, run_context: RunContext) -> None:
        """As `RDPMonitor.step_end`."""
        if self.meter.due(run_context.original_args()):
            self._print(run_context.original_args())

    def on_train_end(self, run_context: RunContext) -> None:
        """Prints the last line, so that no step is left out."""
        if self.meter.behind(run_context.original_args()):
            self._print(run_context.original_args())

    def max_epoch_suggest(self) -> int:
        """The most epochs that stay within ``max_eps``; 0 if none does. See `RDPMonitor.max_epoch_suggest`."""
        return _most_epochs(lambda steps: self.meter.told.zcdp_epsilon(steps, self.target_delta) <= self.max_eps, self)

    def _print(self, run: Any) -> None:
        epsilon = self.meter.statement(run).epsilon(self.target_delta, "zcdp")
        formula = f"eps is {self.meter.told.zcdp_epsilon(run.train_network.steps_done, self.target_delta)}"
        sys.stdout.write(self.meter.line(run, self.target_delta, epsilon, formula))


def _most_epochs(within: Callable[[int], bool], monitor: RDPMonitor | ZCDPMonitor) -> int:
    """The largest number of epochs within a limit, at most `MOST_EPOCHS`; more epochs never cost less."""
    steps = monitor.meter.told.steps_per_epoch
    low, high = 0, 1
    while high <= MOST_EPOCHS and within(high * steps):
        low, high = high, 2 * high
    high = min(high, MOST_EPOCHS + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if within(middle * steps) else (low, middle)
    return low


def _delta(name: str, value: float, num_samples: int) -> float:
    delta = delta_value(value)
    if delta * num_samples >= 1:
        warnings.warn(
            f"{name} is {delta:g}, at least 1 / num_samples = {1 / num_samples:.3g}: publishing "
            f"{delta * num_samples:.3g} records in the clear would satisfy it; choose less",
            PrivacyWarning,
            stacklevel=3,
        )
    return delta


def _orders(orders: Sequence[float] | NDArray[Any] | None) -> tuple[float, ...]:
    values = ORDERS if orders is None else tuple(float(a) for a in np.asarray(orders, np.float64).reshape(-1))
    if not values or not all(isfinite(a) and a > 1 for a in values):
        raise ValueError(f"orders is {orders!r}, and must hold finite numbers above 1")
    return values


def _given(name: str, value: float | None) -> float:
    if value is None:
        raise ValueError(f"{name} is None; give the limit that epochs are to be suggested for")
    return value
