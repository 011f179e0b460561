"""The callback that lets the controller work at the end of every step, and compares its plan with the run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from math import isclose
from typing import Any

from mindspore.train import Callback, RunContext

from mindveil.runtime.sup_privacy.control import SuppressCtrl
from mindveil.runtime.sup_privacy.factory import distance_warning
from mindveil.runtime.sup_privacy.model import SuppressModel

__all__ = ["SuppressMasker"]

READ_EVERY = 100


class SuppressMasker(Callback):
    """Suppresses weights at the end of the steps that the controller's plan names.

    At the first step it warns where the plan does not fit the run: another learning rate, another number of epochs, or
    a data set with another number of batches. The plan then follows the data set, so that it reaches its end.

    Args:
        model: the model that is trained, linked to the controller.
        suppress_ctrl: the controller.

    Raises:
        TypeError: an argument is something else.
    """

    def __init__(self, model: SuppressModel, suppress_ctrl: SuppressCtrl) -> None:
        super().__init__()
        if not isinstance(model, SuppressModel):
            raise TypeError(f"model is {type(model).__name__}, and must be a SuppressModel")
        if not isinstance(suppress_ctrl, SuppressCtrl):
            raise TypeError(f"suppress_ctrl is {type(suppress_ctrl).__name__}, and must be a SuppressCtrl")
        self._model = model
        self.suppress_ctrl = suppress_ctrl
        self._compared = False

    def on_train_step_end(self, run_context: RunContext) -> None:
        """As `step_end`, under the name that MindSpore calls now."""
        self.step_end(run_context)

    def step_end(self, run_context: RunContext) -> None:
        """Updates the masks, if an operation belongs here.

        Steps are counted over the whole training: a second call of ``train`` and a resumed run go on where they were.

        Raises:
            ValueError: the model is not linked to the controller.
        """
        control, run = self.suppress_ctrl, run_context.original_args()
        if self._model.suppress_ctrl is not control:
            raise ValueError("the model is not linked to this controller; call model.link_suppress_ctrl(suppress_ctrl)")
        if not self._compared:
            self._compare(run)
        in_this_call = (run.cur_epoch_num - 1) * run.batch_num + (run.cur_step_num - 1) % run.batch_num
        step = max(control.steps_seen, in_this_call) + 1
        epoch, in_epoch = (step - 1) // run.batch_num + 1, (step - 1) % run.batch_num + 1
        if in_epoch % READ_EVERY == 1:
            control.calc_theoretical_sparse_for_conv()
            control.calc_actual_sparse_for_conv(control.networks)
        control.update_status(epoch, step, in_epoch)
        if control.to_do_mask:
            control.update_mask(control.networks, step)
        elif control.mask_started:
            control.reset_zeros()

    def _compare(self, run: Any) -> None:
        self._compared = True
        for text in _differences(self.suppress_ctrl, run):
            warnings.warn(text, stacklevel=2)
        if run.batch_num != self.suppress_ctrl.plan.batch_num:
            self.suppress_ctrl.follow(run.batch_num)
            text = distance_warning(self.suppress_ctrl)
            if text:
                warnings.warn(text, stacklevel=2)


def _differences(control: SuppressCtrl, run: Any) -> Iterator[str]:
    plan, rate = control.plan, _learning_rate(run.optimizer)
    if run.batch_num != plan.batch_num:
        yield f"batch_num is {plan.batch_num}, but the data set has {run.batch_num} batches; the plan follows it"
    if run.epoch_num != plan.end_epoch:
        then = "the final sparsity is not reached" if run.epoch_num < plan.end_epoch else "the masks then stay"
        yield f"end_epoch is {plan.end_epoch}, but {run.epoch_num} epochs are trained; {then}"
    if rate is None:
        yield f"lr is {control.lr}, but the optimizer's learning rate changes during training"
    elif not isclose(rate, control.lr, rel_tol=1e-6):
        yield f"lr is {control.lr}, but the optimizer's learning rate is {rate:.6g}"


def _learning_rate(optimizer: Any) -> float | None:
    """The constant learning rate of an optimizer; None where there is none."""
    rate: Any = getattr(optimizer, "learning_rate", None)
    changes = getattr(optimizer, "dynamic_lr", False) or getattr(optimizer, "is_group_lr", False)
    return None if changes or not hasattr(rate, "asnumpy") else float(rate.asnumpy())
