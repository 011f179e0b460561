"""Refuses callbacks that would steer a private run by what is not released."""

from __future__ import annotations

from typing import Any

from mindspore.train import EarlyStopping, ReduceLROnPlateau

from mindveil.passes.privacy import PrivacyError

__all__ = ["check_callbacks"]


def check_callbacks(callbacks: Any) -> None:
    """Looks at MindSpore's callbacks that change the learning rate or end the training by a quantity that they watch.

    The training loss is computed from the examples without noise: a learning rate or a number of steps that depends on
    it tells something about them, which no accountant has counted. Quantities of held-out records are free.

    Raises:
        PrivacyError: one of them watches a quantity of the training records.
    """
    given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    for callback in given:
        if isinstance(callback, (EarlyStopping, ReduceLROnPlateau)) and not str(callback.monitor).startswith("eval"):
            raise PrivacyError(
                f"{type(callback).__name__} watches {callback.monitor!r}, which is computed from the training records "
                "without noise, so that what it decides is not covered by epsilon; watch a quantity of held-out "
                'records (monitor="eval_loss"), or fix the schedule in advance'
            )
