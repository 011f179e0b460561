"""Optimizers that bring the noise along with them."""

from __future__ import annotations

from typing import Any

from mindspore import nn

from mindveil.accountant.checks import count
from mindveil.runtime.diff_privacy.errors import known
from mindveil.runtime.diff_privacy.factories import mechanism_of
from mindveil.runtime.diff_privacy.mechanisms import Mechanism

__all__ = ["DPOptimizer", "DPOptimizerClassFactory"]

OPTIMIZERS: dict[str, Any] = {"SGD": nn.SGD, "Momentum": nn.Momentum, "Adam": nn.Adam}


class DPOptimizer(nn.Cell):
    """An optimizer of MindSpore's with a noise mechanism, for a `DPModel`, which clips, adds the noise, and updates.

    It refuses to update by itself: an ordinary model clips nothing, and noise on unbounded gradients protects nobody.

    Attributes:
        optimizer: MindSpore's own.
        mech: the noise.
        micro_batches: groups of a batch, as the factory was told.
    """

    def __init__(self, optimizer: nn.Cell, mech: Mechanism, micro_batches: int) -> None:
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer
        self.mech = mech
        self.micro_batches = micro_batches

    @property
    def learning_rate(self) -> Any:
        """The learning rate of MindSpore's optimizer."""
        return self.optimizer.learning_rate

    def construct(self, gradients: Any) -> Any:
        """Refuses.

        Raises:
            ValueError: always.
        """
        raise ValueError("an optimizer of DPOptimizerClassFactory updates inside DPModel only, which clips first")


class DPOptimizerClassFactory:
    """Makes classes of optimizers with noise.

    Args:
        micro_batches: groups that a batch is divided into, each of them clipped as one; the model must say the same.
    """

    def __init__(self, micro_batches: int = 2) -> None:
        self.micro_batches = count("micro_batches", micro_batches, 1)
        self._mech: Mechanism | None = None

    def set_mechanisms(self, policy: str, *args: Any, **kwargs: Any) -> None:
        """Chooses the noise; see `MechanismsFactory.create`.

        Raises:
            NameError: there is no such mechanism.
            TypeError: the mechanism does not know a keyword.
        """
        self._mech = mechanism_of(policy, args, kwargs)

    def create(self, policy: str, *args: Any, **kwargs: Any) -> Any:
        """The class of optimizer called ``SGD``, ``Momentum`` or ``Adam``; call it with the optimizer's own arguments.

        Raises:
            NameError: there is no such optimizer.
            ValueError: no mechanism was set.
            TypeError: further arguments are given; they belong to the class that is returned.
        """
        name = known("policy", policy, OPTIMIZERS)
        if args or kwargs:
            given = ", ".join([*map(repr, args), *kwargs])
            raise TypeError(f"create got {given}; give the optimizer's arguments to the class that it returns")
        if self._mech is None:
            raise ValueError("no mechanism was set; call set_mechanisms first")
        return _class(name, self._mech, self.micro_batches)


def _class(name: str, mech: Mechanism, micro_batches: int) -> Any:
    class WithNoise(DPOptimizer):
        """The optimizer with the noise that the factory was given."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(OPTIMIZERS[name](*args, **kwargs), mech, micro_batches)

    WithNoise.__name__ = WithNoise.__qualname__ = f"DP{name}"
    return WithNoise
