"""A MindSpore model that trains with differential privacy, from the arguments of both generations of the API."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

from mindspore import nn
from mindspore.train import Model

from mindveil.accountant import PrivacyWarning, event_to_json
from mindveil.accountant.checks import count, positive
from mindveil.runtime.card import PrivacyCard
from mindveil.runtime.diff_privacy.feeding import Feeding, feeding_of
from mindveil.runtime.diff_privacy.mechanisms import AdaClippingWithGaussianRandom
from mindveil.runtime.diff_privacy.monitor import RDPMonitor, ZCDPMonitor
from mindveil.runtime.diff_privacy.noise import Noise
from mindveil.runtime.diff_privacy.optimizer import DPOptimizer
from mindveil.runtime.diff_privacy.statement import statement_of
from mindveil.runtime.model import PrivateModel
from mindveil.runtime.model_options import model_options
from mindveil.runtime.policies import DPSGD
from mindveil.runtime.step import PrivateStep

__all__ = ["DPModel"]

FIRST_GENERATION = {"norm_clip": "norm_bound", "mech": "noise_mech"}


class DPModel(PrivateModel):
    """``mindspore.train.Model`` whose step clips groups of a batch, adds noise to their sum, and divides it.

    A batch is divided into ``micro_batches`` equal groups of consecutive rows. The gradient of each group's mean loss
    is clipped to ``norm_bound``; the update is the noisy sum over the groups, divided by their number. Groups of one
    row (``micro_batches`` equal to the batch size) are what differential privacy is about: one record in a larger group
    can turn the whole group around, which doubles the sensitivity, and the accounting says so.

    Args:
        micro_batches: number of groups; the batch size must be a multiple of it.
        norm_bound: L2 bound of a group's gradient; ``norm_clip`` in the first generation.
        noise_mech: the noise, unless the optimizer brings its own; ``mech`` in the first generation.
        clip_mech: moves the bound during training; the noise then follows the bound.
        optimizer: a MindSpore optimizer, or one that a `DPOptimizerClassFactory` made.
        network, loss_fn: keywords; the network and its loss.
        metrics, eval_network, eval_indexes: keywords, as for ``mindspore.train.Model``.

    Raises:
        TypeError: an argument is of the wrong type, missing, or unknown.
        ValueError: a number is out of range, or noise comes from both the optimizer and the model, or from neither.
    """

    def __init__(
        self,
        micro_batches: int = 2,
        norm_bound: float = 1.0,
        noise_mech: Any = None,
        clip_mech: Any = None,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        given = _translated({"norm_bound": norm_bound, "noise_mech": noise_mech}, kwargs)
        network, loss_fn = kwargs.pop("network", None), kwargs.pop("loss_fn", None)
        options = model_options("DPModel", kwargs)
        if not isinstance(network, nn.Cell) or not isinstance(optimizer, nn.Cell):
            raise TypeError(f"network is {network!r} and optimizer is {optimizer!r}, and both must be Cells")
        self.micro_batches = count("micro_batches", micro_batches, 1)
        self.norm_bound = positive("norm_bound", given["norm_bound"])
        self.noise = _noise(given["noise_mech"], optimizer, self.micro_batches)
        self.clip_mech = _clip(clip_mech, self.noise)
        self.feeding: Feeding | None = None
        inner = optimizer.optimizer if isinstance(optimizer, DPOptimizer) else optimizer
        super().__init__(network, loss_fn, inner)
        Model.__init__(self, network, loss_fn=loss_fn, **options)

    def train(
        self,
        epoch: int,
        train_dataset: Any,
        callbacks: Any = None,
        dataset_sink_mode: bool = False,
        sink_size: int = -1,
        initial_epoch: int = 0,
    ) -> None:
        """As `PrivateModel.train`. The step is built here, for the batches that come.

        Raises:
            ValueError: the batches cannot be divided into ``micro_batches`` groups, or differ from those of an earlier
                call; or ``dataset_sink_mode`` is on.
            MismatchError: a monitor was told of another run, or Poisson batches come with groups of several rows.
        """
        self.feeding = self.build(train_dataset).begun(self.step.steps_done)
        for callback in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]:
            if isinstance(callback, (RDPMonitor, ZCDPMonitor)):
                callback.meter.feeding = self.feeding
        super().train(epoch, train_dataset, callbacks, dataset_sink_mode, sink_size, initial_epoch)

    def card(self, delta: float) -> PrivacyCard:
        """The privacy card of the model as trained so far, with what holds for the way in which it was fed.

        The step's own card takes Poisson sampling for granted.

        Raises:
            ValueError: the model has not been trained.
        """
        if self.feeding is None:
            raise ValueError("the model has not been trained: its card would be empty; call train first")
        card, statement = self.step.card(delta), statement_of(self.step.events, self.feeding)
        if self.feeding.poisson:
            return card
        return replace(
            card,
            epsilon=statement.epsilon(delta, "rdp"),
            neighbouring=statement.neighbouring,
            sampling=f"none: shuffled batches, {self.feeding.pass_steps} to a pass over the records",
            event=event_to_json(statement.event),
        )

    def build(self, train_dataset: Any) -> Feeding:
        """Builds the step for these batches, as the first `train` does; `checkpoint.restore` needs a step to fill.

        Steps that a checkpoint brings count as one unbroken training from the beginning of a pass.

        Raises:
            ValueError: see `train`.
        """
        feeding = feeding_of(train_dataset)
        if self.feeding is not None:
            if replace(self.feeding, starts=()) != feeding:
                raise ValueError("the batches differ from those of the first call of train; make a new model for them")
            return self.feeding
        policy = self._policy(feeding)
        self.step = PrivateStep(self.step.network, self._loss_fn, self.step.optimizer, [policy])
        self._train_network = self.step
        self.feeding = feeding
        return feeding

    def _policy(self, feeding: Feeding) -> DPSGD:
        if feeding.batch_size % self.micro_batches != 0:
            raise ValueError(
                f"micro_batches is {self.micro_batches}, and must divide the {feeding.batch_size} rows of a batch"
            )
        if self.noise.norm_bound != self.norm_bound:
            warnings.warn(
                f"the noise is scaled by norm_bound {self.noise.norm_bound:g}, but gradients are clipped to "
                f"{self.norm_bound:g}: the noise multiplier in effect is "
                f"{self.noise.multiplier(0) * self.noise.norm_bound / self.norm_bound:.6g}",
                PrivacyWarning,
                stacklevel=4,
            )
        together = feeding.batch_size // self.micro_batches
        return DPSGD(
            self.norm_bound,
            self.noise.schedule(self.norm_bound),
            feeding.rate,
            feeding.dataset_size,
            noise_seed=self.noise.seed or None,
            adaptive=None if self.clip_mech is None else self.clip_mech.rule(self.micro_batches),
            rows_together=together,
        )


def _translated(given: dict[str, Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments under the second generation's names; those of the first are taken out of ``kwargs``."""
    defaults = {"norm_bound": 1.0, "noise_mech": None}
    for first, second in FIRST_GENERATION.items():
        if first in kwargs:
            if given[second] is not defaults[second] and given[second] != defaults[second]:
                raise TypeError(f"{first} and {second} are two names of one argument; give one of them")
            given[second] = kwargs.pop(first)
    return given


def _noise(mech: Any, optimizer: nn.Cell, micro_batches: int) -> Noise:
    brought = optimizer.mech if isinstance(optimizer, DPOptimizer) else None
    if (mech is None) == (brought is None):
        which = "neither the optimizer nor the model" if mech is None else "both the optimizer and the model"
        raise ValueError(f"{which} has a noise mechanism, and exactly one of them must")
    if isinstance(optimizer, DPOptimizer) and optimizer.micro_batches != micro_batches:
        raise ValueError(
            f"micro_batches is {micro_batches} for the model and {optimizer.micro_batches} for its optimizer; "
            "give both the same"
        )
    noise = getattr(mech if brought is None else brought, "noise", None)
    if not isinstance(noise, Noise):
        raise TypeError(f"noise_mech is {mech!r}, and must be made by MechanismsFactory or NoiseMechanismsFactory")
    if noise.mean != 0:
        raise ValueError(f"the noise has mean {noise.mean}, which would move every update; train with mean 0")
    return noise


def _clip(clip_mech: Any, noise: Noise) -> AdaClippingWithGaussianRandom | None:
    if clip_mech is None or isinstance(clip_mech, AdaClippingWithGaussianRandom):
        if clip_mech is not None and noise.decay_policy is not None:
            raise ValueError("clip_mech needs noise that does not decay; take the Gaussian mechanism, or leave it out")
        return clip_mech
    raise TypeError(f"clip_mech is {clip_mech!r}, and must be made by ClipMechanismsFactory")
