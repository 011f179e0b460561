"""One update of a model by its rules: bounds, gradients, noise, optimizer, projection."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from mindveil.accountant import Event, Ledger, PrivacyWarning
from mindveil.runtime.lipdp.accounting import effective_multiplier
from mindveil.runtime.lipdp.bounds import example_bounds
from mindveil.runtime.lipdp.noise import deviations, secure_normal
from mindveil.runtime.lipdp.rules import DPLayer
from mindveil.runtime.released import Released

if TYPE_CHECKING:
    from mindveil.runtime.lipdp.model import DP_Model

__all__ = ["ROUNDING", "RulesStep"]

#: Float32 products of up to 8,000 terms: what a computed gradient may exceed the bound of the exact one by.
ROUNDING = 1 + 1e-3


class RulesStep(nn.Cell):
    """A Cell of (examples, labels, weights) that updates the model once and returns the mean loss of the real examples.

    The gradient is ``(sum_i w_i g_i + noise) / batch_size`` with a constant denominator. ``mindspore.train.Model``
    trains by it: ``Model(model.step).train(epochs, dataset)``.

    Guarantee: a Gaussian mechanism with the model's effective noise multiplier, sampled by Poisson sampling with
    ``dataset_metadata.sampling_rate``, for adding or removing one record, where batches are drawn so. It rests on the
    rules of the layers. The loss that is returned is not released.
    """

    def __init__(self, model: DP_Model, ledger: Ledger | None = None) -> None:
        super().__init__(auto_prefix=False)
        self.released = Released(ledger)
        self.steps_done = 0
        self._model = [model]  # in a list: a Cell within would be this Cell's child
        self._parameters = [layer.parameter() for layer in model.layers_forward_order() if layer.has_parameters()]
        self._settled: dict[str, NDArray[np.float32]] = {}
        self._waiting: list[Any] = []  # sums over the physical batches of an unfinished logical one
        # Both are compiled in PyNative mode too: there an optimizer that is called misses weights that were set.
        self._gradients = [_Gradients(model, model.loss, self._parameters)]  # in a list, as the model
        self._update = [_Update(model.optimizer)]
        trained = {p.name for p in model.optimizer.parameters}
        if trained != {p.name for p in self._parameters}:
            raise ValueError(f"the optimizer trains {sorted(trained)}, and must train every parameter of the model")

    @property
    def model(self) -> DP_Model:
        """The model that is trained."""
        return self._model[0]

    @property
    def events(self) -> Event:
        """What has been released so far."""
        return self.released.event

    def construct(self, images: Any, labels: Any, weights: Any = None) -> Tensor:
        """See `__call__`."""
        return self(images, labels, weights)

    def __call__(self, images: Any, labels: Any, weights: Any = None) -> Tensor:
        """One update, or one physical batch of it: where ``weights.last`` is False, sums wait for the last one.

        Args:
            weights: ``[B]``: 0 for padding, and 1, or one over the views of an example; None for 1.

        Raises:
            BudgetExceeded: the ledger does not cover it; nothing was updated.
        """
        model = self.model
        self.settle()
        if getattr(weights, "last", True):
            self._account()  # before anything is computed: a step whose result is lost counts
        loss, _, gradients = self.sums(images, labels, weights)
        self._waiting = [g if not self._waiting else self._waiting[k] + g for k, g in enumerate(gradients)]
        if not getattr(weights, "last", True):
            return loss
        gradients, self._waiting = tuple(self._waiting), []
        noised = self._noised(gradients, example_bounds(model, model.norms))
        self._update[0].compile_and_run(*(noised[p.name] for p in model.optimizer.parameters))
        for layer in _owners(model):
            layer.project()
        self._settled = {p.name: p.asnumpy().copy() for p in self._parameters}
        self.steps_done += 1
        return loss

    def sums(self, images: Any, labels: Any, weights: Any = None) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """The mean loss, the losses of the examples, and the sums of their gradients; nothing of it may be released."""
        x, y = _tensor(images), _tensor(labels)
        self.model.set_train(True)
        given = np.ones(len(x), np.float32) if weights is None else np.asarray(_array(weights), np.float32)
        share = float(given.max(initial=0)) or 1.0
        if given.shape != (len(x),) or not np.isin(given, (0, share)).all() or not 0 < share <= 1:
            raise ValueError("weights must hold 0, or one share in (0, 1] that is the same for all, for each example")
        real = (given > 0).astype(np.float32)
        # A share within would be clipped at the full clip value; outside it scales what one view adds.
        (total, losses), gradients = self._gradients[0].compile_and_run(x, y, Tensor(real))
        return total / max(float(real.sum()), 1.0), losses, tuple(g * share for g in gradients)

    def settle(self) -> None:
        """Projects weights that something other than this step has set, so that the guaranteed norms hold."""
        same = all(
            p.name in self._settled and np.array_equal(p.asnumpy(), self._settled[p.name]) for p in self._parameters
        )
        if not same:
            for layer in _owners(self.model):
                layer.project()
            self._settled = {p.name: p.asnumpy().copy() for p in self._parameters}

    def _account(self) -> None:
        model = self.model
        multiplier = effective_multiplier(model)
        if multiplier == 0 and not self.released.unprotected:
            warnings.warn("noise_multiplier is 0: the run is not private", PrivacyWarning, stacklevel=4)
        self.released.append(model.dataset_metadata.sampling_rate, multiplier)

    def _noised(self, gradients: tuple[Tensor, ...], bounds: dict[str, float]) -> dict[str, Tensor]:
        """Parameter name -> the noisy mean gradient."""
        model = self.model
        settings, batch = model.dp_parameters, model.dataset_metadata.batch_size
        names = [p.name for p in self._parameters]
        sizes = {p.name: p.size for p in self._parameters}
        charged = {name: bounds[name] * ROUNDING for name in names}
        stds = deviations(settings.noisify_strategy, settings.noise_multiplier, charged, model.coefficients(), sizes)
        noised = {}
        for name, gradient in zip(names, gradients, strict=True):
            exact = gradient.asnumpy().astype(np.float64)
            if not np.isfinite(exact).all():
                raise ArithmeticError(f"the gradient of {name} is not finite; nothing was released")
            model.report(name, stds[name] / batch, charged[name] / batch, float(np.linalg.norm(exact)) / batch)
            noisy = (exact + stds[name] * secure_normal(exact.shape)) / batch
            noised[name] = Tensor(noisy.astype(np.float32))
        return noised


class _Gradients(nn.Cell):
    """The weighted sum of the examples' losses, the losses, and the sums of their gradients.

    A Cell, because a bare function of ``value_and_grad`` goes on with the old values where weights are set.
    """

    def __init__(self, network: nn.Cell, loss: nn.Cell, parameters: list[Any]) -> None:
        super().__init__(auto_prefix=False)
        self.network, self.loss = network, loss
        self.gradients = ms.value_and_grad(self.forward, None, parameters, has_aux=True)

    def construct(self, images: Tensor, labels: Tensor, weights: Tensor) -> Any:
        return self.gradients(images, labels, weights)

    def forward(self, images: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """What is differentiated, and the losses."""
        losses = self.loss(self.network(images), labels)
        return (losses * weights).sum(), losses


class _Update(nn.Cell):
    """The optimizer, with every gradient as an argument of its own: tensors in a tuple would become constants."""

    def __init__(self, optimizer: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer

    def construct(self, *gradients: Tensor) -> Any:
        return self.optimizer(gradients)


def _owners(model: nn.Cell) -> list[DPLayer]:
    """Layers that own a parameter, inside residual branches too."""
    return [cell for _, cell in model.cells_and_names() if isinstance(cell, DPLayer) and cell.guaranteed()]


def _array(values: Any) -> Any:
    return values.asnumpy() if isinstance(values, Tensor) else np.asarray(values)


def _tensor(values: Any) -> Tensor:
    return values if isinstance(values, Tensor) else Tensor(np.asarray(values))
