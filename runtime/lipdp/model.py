"""Models made of Lipschitz layers, trained privately without clipping."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindveil.accountant import Ledger
from mindveil.runtime.lipdp.fitting import fit
from mindveil.runtime.lipdp.losses import DP_Loss
from mindveil.runtime.lipdp.parameters import STRATEGIES, DatasetMetadata, DPParameters
from mindveil.runtime.lipdp.projected_step import ProjectedStep
from mindveil.runtime.lipdp.rules import DPLayer, Norms
from mindveil.runtime.lipdp.tightness import average, elementwise

__all__ = ["DP_Model", "DP_Sequential"]

Ratios = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


class DP_Model(nn.Cell):
    """A list of layers, one after another, where a layer may hand a tuple to the next (residual branches).

    Sizes of inputs come from ``dataset_metadata.input_shape``. ``compile`` gives it a loss and an optimizer; then
    ``fit``, ``train_step``, or ``mindspore.train.Model(model.step)`` train it.

    Args:
        dp_layers: of `mindveil.runtime.lipdp`; each once.
        dp_parameters, dataset_metadata: see there.
        debug: logs the bound before each layer, and noise, bound and norm of each gradient; the norms are not released.
        norms: ``static`` or ``current``, see `compute_gradient_bounds`.

    Raises:
        TypeError: the noise strategy is none of those that exist, or something is no layer of this library.
        ValueError: a layer is there twice, or the layers do not fit each other.
    """

    def __init__(
        self,
        dp_layers: Sequence[DPLayer],
        *,
        dp_parameters: DPParameters,
        dataset_metadata: DatasetMetadata,
        debug: bool = False,
        norms: Norms = "static",
        name: str | None = None,
    ) -> None:
        super().__init__()
        if dp_parameters.noisify_strategy not in STRATEGIES:
            raise TypeError(
                f"noisify_strategy is {dp_parameters.noisify_strategy!r}, and must be one of {', '.join(STRATEGIES)}"
            )
        others = [type(layer).__name__ for layer in dp_layers if not isinstance(layer, DPLayer)]
        if others:
            raise TypeError(f"only layers of mindveil.runtime.lipdp state their bounds, got {', '.join(others)}")
        if len({id(layer) for layer in dp_layers}) != len(dp_layers):
            raise ValueError("a layer is used twice; make two layers, as the rules count each parameter once")
        self.dp_parameters, self.dataset_metadata = dp_parameters, dataset_metadata
        self.debug = debug
        self.norms: Norms = norms
        shape: Any = tuple(dataset_metadata.input_shape)
        for layer in dp_layers:
            shape = layer.build(shape)
        self.output_shape = shape
        self.layers = nn.CellList(list(dp_layers))
        self._trained: dict[str, Any] = {}

    def construct(self, x: Any) -> Any:
        """``[B, *input_shape]`` to logits."""
        for layer in self.layers:
            x = layer(x)
        return x

    # ------------------------------------------------------------------------------------------------------ layers
    def layers_forward_order(self) -> list[DPLayer]:
        """First to last."""
        return list(self.layers)

    def layers_backward_order(self) -> list[DPLayer]:
        """Last to first."""
        return list(self.layers)[::-1]

    def layer_parameters(self) -> list[Any]:
        """The layers' parameters, in forward order."""
        return [layer.parameter() for layer in self.layers if layer.has_parameters()]

    def coefficients(self) -> dict[str, float]:
        """Parameter name -> its layer's ``nm_coef``, in forward order."""
        return {layer.parameter().name: float(layer.nm_coef) for layer in self.layers if layer.has_parameters()}

    def lipschitz_constant(self) -> float:
        """Of the loss in the logits, example by example.

        Raises:
            ValueError: the model has no loss yet.
        """
        return float(self.loss.get_L(int(self.output_shape[-1])))

    # ---------------------------------------------------------------------------------------------------- training
    def compile(self, *args: Any, **kwargs: Any) -> None:
        """``compile(loss, optimizer, metrics=None, ledger=None)``, by keywords; MindSpore's own calls pass tensors.

        Args:
            loss: a loss of this library.
            optimizer: any MindSpore optimizer over ``trainable_params()``.
            metrics: name -> MindSpore metric, for ``evaluate``; accuracy without.
            ledger: where the spent budget is written, before each update.
        """
        if "loss" not in kwargs:
            super().compile(*args, **kwargs)
            return
        self._configure(**kwargs)

    def _configure(self, loss: Any, optimizer: Any, metrics: Any = None, ledger: Ledger | None = None) -> None:
        if not isinstance(loss, DP_Loss):
            raise TypeError(f"the loss is a {type(loss).__name__}, whose slope has no known bound; use one of DP_...")
        self._trained = {"loss": loss, "optimizer": optimizer, "metrics": metrics}
        self._trained["step"] = ProjectedStep(self, ledger)

    def _asked(self, name: str) -> Any:
        if name not in self._trained:
            raise ValueError(f"the model has no {name} yet: call compile(loss=..., optimizer=...) first")
        return self._trained[name]

    @property
    def loss(self) -> Any:
        """The loss given to ``compile``."""
        return self._asked("loss")

    @property
    def optimizer(self) -> Any:
        """The optimizer given to ``compile``."""
        return self._asked("optimizer")

    @property
    def step(self) -> ProjectedStep:
        """The training step, a Cell with the run's events."""
        return self._asked("step")  # type: ignore[no-any-return]

    def train_step(self, data: Any) -> dict[str, float]:
        """One private update by a batch ``(examples, labels)`` or ``(examples, labels, weights)``.

        Returns:
            ``{"loss": mean loss of the batch}``, which is not released.
        """
        return {"loss": float(self.step(*data))}

    def fit(
        self, x: Any, epochs: int = 1, validation_data: Any = None, callbacks: Any = None
    ) -> dict[str, list[float]]:
        """Trains; ``x`` is a pair of arrays, from which Poisson batches are drawn, or batches. See `fitting.fit`."""
        return fit(self, x, epochs, validation_data, callbacks)

    def evaluate(self, data: tuple[Any, Any], batch_size: int = 1000) -> dict[str, float]:
        """Mean loss and metrics over a pair of arrays."""
        self.set_train(False)
        metrics = self._asked("metrics") or {"accuracy": ms.train.Accuracy("classification")}
        for metric in metrics.values():
            metric.clear()
        total, (images, labels) = 0.0, data
        for rows in _slices(len(images), batch_size):
            logits, given = self(Tensor(np.asarray(images[rows]))), Tensor(np.asarray(labels[rows]))
            total += float(self.loss(logits, given).asnumpy().sum())
            for metric in metrics.values():
                metric.update(logits, given)
        return {"loss": total / len(images), **{name: float(metric.eval()) for name, metric in metrics.items()}}

    # -------------------------------------------------------------------------------------------------- reading off
    def signal_to_noise_average(self, data: Any) -> Ratios:
        """(ratios, norms, bounds) by parameter name, for the mean gradient of a batch of ``batch_size``: see there."""
        return average(self, data)

    def signal_to_noise_elementwise(self, data: Any) -> Ratios:
        """(ratios, norms, bounds) by parameter name, for the gradient of each example alone: see there."""
        return elementwise(self, data)

    def report(self, name: str, noise: float, bound: float, norm: float) -> None:
        """Logs what ``debug`` asks for, of the mean gradient of one parameter."""
        if self.debug:
            logging.getLogger("mindveil.lipdp").info(
                "%s: noise %.6g, bound %.6g, norm of the mean gradient %.6g (not released)", name, noise, bound, norm
            )


class DP_Sequential(DP_Model):
    """The same, from layers as arguments, or one list of them."""

    def __init__(
        self,
        *args: Any,
        layers: Sequence[DPLayer] | None = None,
        dp_parameters: DPParameters,
        dataset_metadata: DatasetMetadata,
        debug: bool = False,
        norms: Norms = "static",
        name: str | None = None,
    ) -> None:
        given = (
            layers if layers is not None else args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args
        )
        super().__init__(
            list(given), dp_parameters=dp_parameters, dataset_metadata=dataset_metadata, debug=debug, norms=norms
        )


def _slices(total: int, size: int) -> Iterator[slice]:
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))
