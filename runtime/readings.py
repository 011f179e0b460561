"""What can be read off a training step: what it released, its masks, its graph, its card."""

from __future__ import annotations

import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from mindveil.accountant import Event, Ledger
from mindveil.passes.explain import explain
from mindveil.passes.picture import picture
from mindveil.passes.pipeline import Compiled
from mindveil.runtime.card import Mode, PrivacyCard
from mindveil.runtime.card_of import card_of
from mindveil.runtime.controls import Controls
from mindveil.runtime.guard import Guard
from mindveil.runtime.kinds import PrivatePolicy
from mindveil.runtime.lipschitz import Sensitivity
from mindveil.runtime.released import Released
from mindveil.runtime.step_cell import Kind
from mindveil.runtime.suppress import Masks

__all__ = ["Readings"]


class Readings(nn.Cell):
    """The part of a step that changes nothing.

    Attributes:
        dpsgd: the policy for gradients, None for a step without one.
        steps_done: updates so far.
        swept: what one example adds to the sum under `LipschitzDP`, of the last step.
        not_finite: examples so far whose gradient was not finite, so that a clipping step left them out. Not released:
            it is counted from the examples without noise, and must not leave the trainer's console.
    """

    dpsgd: PrivatePolicy | None
    ledger: Ledger | None
    released: Released
    steps_done: int
    not_finite: int
    swept: Sensitivity | None
    _controls: Controls | None
    _guards: dict[Kind, Guard]
    _masks: Masks | None

    @property
    def private(self) -> bool:
        """Whether noise is added to bounded gradients."""
        return self.dpsgd is not None

    @property
    def events(self) -> Event:
        """What the graphs that ran have released so far."""
        return self.released.event

    @property
    def mode(self) -> Mode:
        """``public``, ``suppressed`` or ``private``."""
        if self.private:
            return "private"
        return "suppressed" if self._masks else "public"

    @property
    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """Parameter name -> boolean array, True = kept; empty without `Suppression`."""
        return self._masks.kept() if self._masks else {}

    @property
    def sparsity(self) -> float:
        """Share of suppressed weights among those with a mask; 0 without `Suppression`."""
        return self._masks.sparsity() if self._masks else 0.0

    def epsilon(self, delta: float) -> float:
        """What has been spent so far, in nats, by Renyi accounting; infinite for a step without privacy."""
        return self.released.epsilon(delta) if self.private else float("inf")

    def explain(self) -> str:
        """The typed graph of the last compiled step, as a table: where each gradient is clipped, noised and masked.

        The last line says how long the compilation took, and the passes' share of it.
        """
        compiled = self._last_graph()
        times = [g.compile_time for g in self._guards.values() if g.compiled is compiled]
        return "\n".join([explain(compiled), *map(str, times)])

    def picture(self) -> str:
        """The same as an SVG picture: each gradient's way from the examples to its Parameter."""
        return picture(self._last_graph())

    def _last_graph(self) -> Compiled:
        """The whole step as compiled last: the one that ends in the optimizer."""
        found = self._whole_graphs()
        if not found:
            raise ValueError("nothing was compiled through passes: call the step once, or prepare it")
        return found[-1]

    def _whole_graphs(self) -> list[Compiled]:
        return [g.compiled for kind, g in self._guards.items() if kind != "add" and g.compiled]

    def card(self, delta: float = 1e-5) -> PrivacyCard:
        """The privacy card of the model as trained so far."""
        graphs = self._whole_graphs()
        return card_of(self, delta, self._controls, graphs[-1].trace if graphs else ())
