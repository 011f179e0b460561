"""One update of a model by its rules: the compiled private step, with weights projected around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

from mindveil.accountant import Ledger
from mindveil.runtime.allocation import Allocation, ByBound, Even, LeastEnergy
from mindveil.runtime.lipdp.accounting import effective_multiplier
from mindveil.runtime.lipdp.balls import DP_ClipGradient
from mindveil.runtime.lipdp.example_gradients import Sums
from mindveil.runtime.lipdp.rules import DPLayer
from mindveil.runtime.lipschitz import LipschitzDP
from mindveil.runtime.step import PrivateStep

if TYPE_CHECKING:
    from mindveil.runtime.lipdp.model import DP_Model

__all__ = ["ProjectedStep"]


class ProjectedStep(PrivateStep):
    """`PrivateStep` with `LipschitzDP`, whose norms are what the layers' projections guarantee, or what they are now.

    ``mindspore.train.Model`` trains by it too: ``Model(model.step).train(epochs, dataset)``.

    Raises:
        ValueError: the optimizer does not train exactly the model's parameters.
    """

    def __init__(self, model: DP_Model, ledger: Ledger | None = None) -> None:
        parameters, layers = model.layer_parameters(), _owners(model)
        trained = {p.name for p in model.optimizer.parameters}
        if trained != {p.name for p in parameters}:
            raise ValueError(f"the optimizer trains {sorted(trained)}, and must train every parameter of the model")
        super().__init__(model, model.loss, model.optimizer, [_policy(model, layers)], ledger=ledger)
        self._projected, self._owners = parameters, layers
        self._settled: dict[str, NDArray[np.float32]] = {}
        self._sums: Sums | None = None
        self._shown: list[NDArray[np.float64]] = []

    @property
    def model(self) -> DP_Model:
        """The model that is trained."""
        return self.network  # type: ignore[no-any-return]

    def __call__(self, images: Any, labels: Any, weights: Any = None) -> Tensor:
        """See `PrivateStep.__call__`; weights are projected before, where something else has set them, and after."""
        self.settle()
        last = getattr(weights, "last", True)
        if self.model.debug:
            self._add(self.sums(images, labels, weights))
        loss = super().__call__(images, labels, weights)
        if last:
            self._project()
        if last and self.model.debug:
            self._report()
        return loss

    def prepare(self, images: Any, labels: Any) -> None:
        """See `PrivateStep.prepare`."""
        self.settle()
        super().prepare(images, labels)

    def sums(self, images: Any, labels: Any, weights: Any = None) -> tuple[Tensor, ...]:
        """The sums of the examples' gradients as they are, in the order of the layers; never to be released."""
        if self._sums is None:
            self._sums = Sums(self.model)
        return self._sums(images, labels, weights)

    def settle(self) -> None:
        """Projects weights that something other than this step has set, so that the guaranteed norms hold."""
        same = all(
            p.name in self._settled and np.array_equal(p.asnumpy(), self._settled[p.name]) for p in self._projected
        )
        if not same:
            self._project()

    def _project(self) -> None:
        for layer in self._owners:
            layer.project()
        self._settled = {p.name: p.asnumpy().copy() for p in self._projected}

    def _add(self, gradients: tuple[Tensor, ...]) -> None:
        exact = [g.asnumpy().astype(np.float64) for g in gradients]
        self._shown = [a + b for a, b in zip(self._shown, exact, strict=True)] if self._shown else exact

    def _report(self) -> None:
        """Shows the noise, the bound and the norm of each mean gradient."""
        exact, self._shown = self._shown, []
        batch, swept = self.model.dataset_metadata.batch_size, self.swept
        if swept is None:
            return
        noise = effective_multiplier(self.model) * swept.norm
        for p, gradient in zip(self._projected, exact, strict=True):
            share = swept.shares[p.name]
            norm = float(np.linalg.norm(gradient))
            self.model.report(p.name, noise * share / batch, swept.bounds[p.name] / batch, norm / batch)


def _owners(model: DP_Model) -> list[DPLayer]:
    """Layers that own a parameter, inside residual branches too."""
    return [cell for _, cell in model.cells_and_names() if isinstance(cell, DPLayer) and cell.guaranteed()]


def _policy(model: DP_Model, layers: list[DPLayer]) -> LipschitzDP:
    metadata = model.dataset_metadata

    def norms() -> dict[str, float]:
        found: dict[str, float] = {}
        for layer in layers:
            found |= layer.certified() if model.norms == "current" else layer.guaranteed()
        return found

    return LipschitzDP(
        lambda step: effective_multiplier(model),
        sampling_rate=metadata.sampling_rate,
        dataset_size=metadata.nb_samples_train,
        # Clip values are set by the user, or from what was released.
        public=tuple(c.clip_value.name for _, c in model.cells_and_names() if isinstance(c, DP_ClipGradient)),
        norms=norms,
        allocation=_allocation(model),
    )


def _allocation(model: DP_Model) -> Allocation:
    strategy = model.dp_parameters.noisify_strategy
    if strategy == "per-layer":
        return ByBound(model.coefficients())
    return LeastEnergy() if strategy == "optimal" else Even()
