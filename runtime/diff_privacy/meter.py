"""What the monitors share: they watch a run, compare it with what they were told, and word a line about it."""

from __future__ import annotations

from typing import Any

from mindveil.accountant import MismatchError
from mindveil.accountant.checks import count
from mindveil.runtime.diff_privacy.compare import check_ran, check_told
from mindveil.runtime.diff_privacy.feeding import Feeding
from mindveil.runtime.diff_privacy.formula import Told
from mindveil.runtime.diff_privacy.statement import Statement, statement_of

__all__ = ["Meter"]


class Meter:
    """Reads the events of the step that runs.

    Attributes:
        told: what the user says of the run.
        feeding: how the run is fed, as the `DPModel` found out.
    """

    def __init__(self, told: Told, per_print_times: int, dataset_sink_mode: bool) -> None:
        self.told = told
        self.feeding: Feeding | None = None
        self._every = count("per_print_times", per_print_times, 1)
        if dataset_sink_mode:
            self._every = max(1, told.num_samples // told.batch_size)
        self._checked = 0
        self._printed = 0

    def begin(self, run: Any) -> None:
        """Compares what was told with the model, before the first step.

        Raises:
            MismatchError: they differ, or the model is no `DPModel`.
        """
        step = run.train_network
        if self.feeding is None or getattr(step, "dpsgd", None) is None:
            raise MismatchError("a privacy monitor reads the events of the step that runs; hand it to DPModel.train")
        check_told(self.told, step.dpsgd, self.feeding)
        self._checked = self._printed = step.steps_done

    def due(self, run: Any) -> bool:
        """Whether a line belongs after this step."""
        return int(run.train_network.steps_done) % self._every == 0

    def behind(self, run: Any) -> bool:
        """Whether steps were done since the last line."""
        return int(run.train_network.steps_done) > self._printed

    def statement(self, run: Any) -> Statement:
        """The guarantee so far.

        Raises:
            MismatchError: a step ran with other noise than was told.
        """
        step = run.train_network
        if self.feeding is None:
            raise MismatchError("a privacy monitor reads the events of the step that runs; hand it to DPModel.train")
        self._checked = check_ran(self.told, step.events, self._checked)
        return statement_of(step.events, self.feeding)

    def line(self, run: Any, delta: float, epsilon: float, formula: str) -> str:
        """What is printed after this step."""
        step = run.train_network
        self._printed = step.steps_done
        in_epoch = (run.cur_step_num - 1) % run.batch_num + 1
        left_out = _left_out(step.dpsgd.rows_together, self.feeding, step.dpsgd.adaptive is not None)
        beside = "; ".join([f"MindArmour's formula: {formula}", *left_out])
        return f"epoch: {run.cur_epoch_num} step: {in_epoch}, delta is {delta}, eps is {epsilon} ({beside})\n"


def _left_out(together: int, feeding: Feeding | None, counted: bool) -> list[str]:
    """Why MindArmour's formula says something else."""
    found = []
    if together > 1:
        found.append(f"it takes C for the sensitivity of {together} rows that are clipped as one, and it is 2C")
    if feeding is None or not feeding.poisson:
        found.append("it takes shuffled batches for Poisson samples")
    if counted:
        found.append("it leaves out the noisy count that moves the clip norm")
    return found
