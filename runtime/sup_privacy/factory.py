"""Makes the controller of suppress privacy from the tutorial's arguments."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from mindspore import nn

from mindveil.runtime.sup_privacy.control import SuppressCtrl
from mindveil.runtime.sup_privacy.describe import MaskLayerDes
from mindveil.runtime.sup_privacy.plan import ADVISED

__all__ = ["SuppressPrivacyFactory"]

POLICIES = ("local_train",)


class SuppressPrivacyFactory:
    """Makes `SuppressCtrl`; the method is called on the class or on an instance."""

    @staticmethod
    def create(
        networks: nn.Cell,
        mask_layers: list[MaskLayerDes],
        policy: str = "local_train",
        end_epoch: int = 10,
        batch_num: int = 20,
        start_epoch: int = 3,
        mask_times: int = 1000,
        lr: float = 0.05,
        sparse_end: float = 0.90,
        sparse_start: float = 0.0,
        *,
        schedule: Callable[[int], float] | None = None,
    ) -> SuppressCtrl:
        """The controller; see `SuppressCtrl` for its arguments. It warns where operations fall unusually close or wide.

        Args:
            policy: ``local_train`` is the only one.

        Raises:
            TypeError, ValueError: an argument is of the wrong type, out of range, or names a layer that is not there.
        """
        if not isinstance(policy, str):
            raise TypeError(f"policy is {policy!r}, and must be a string, one of {', '.join(POLICIES)}")
        if policy not in POLICIES:
            raise ValueError(f"policy is {policy!r}, and must be one of {', '.join(POLICIES)}")
        control = SuppressCtrl(
            networks,
            mask_layers,
            end_epoch,
            batch_num,
            start_epoch,
            mask_times,
            lr,
            sparse_end,
            sparse_start,
            schedule=schedule,
        )
        text = distance_warning(control)
        if text:
            warnings.warn(text, stacklevel=2)
        return control


def distance_warning(control: SuppressCtrl) -> str:
    """What is unusual about the distance of suppress operations; empty where nothing is."""
    interval, (least, most) = control.plan.interval, ADVISED
    if least <= interval <= most:
        return ""
    plan = control.plan
    return (
        f"{plan.mask_times} suppress operations in {plan.steps} steps fall {interval:.3g} steps apart, where {least} "
        f"to {most} are advised; mask_times from {-(-plan.steps // most)} to {plan.steps // least} would do that"
    )
