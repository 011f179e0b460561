"""The training step: a Cell that is compiled through the graph passes, or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from mindspore import ParameterTuple, Tensor, nn

from mindveil.accountant import Ledger, PrivacyWarning
from mindveil.passes.graph import StepGraph
from mindveil.passes.infer import Declared
from mindveil.passes.pipeline import Compiled
from mindveil.runtime.bound_marker import marking
from mindveil.runtime.controls import Controls
from mindveil.runtime.guard import Guard, kernels_work
from mindveil.runtime.kinds import Policy, PrivatePolicy, by_kind
from mindveil.runtime.lipschitz import LipschitzDP, Sensitivity, sensitivity
from mindveil.runtime.losses import LossFn, example_losses
from mindveil.runtime.pending import Pending
from mindveil.runtime.readings import Readings
from mindveil.runtime.released import Released
from mindveil.runtime.rewriting import rewrite
from mindveil.runtime.rows import Rows
from mindveil.runtime.step_cell import Kind, Parts
from mindveil.runtime.suppress import Masks
from mindveil.runtime.workers import Workers

__all__ = ["PrivateStep"]

#: What a ledger can raise.
_FAILURES = (RuntimeError, ValueError, ArithmeticError, OSError)


class PrivateStep(Readings):
    """One update of a network, with the privacy policies built into the compiled graph.

    ``step(images, labels)`` runs one update and returns the mean loss of the real examples. That loss is not released:
    it is computed from the examples without noise, and must not leave the trainer's console.

    A logical batch that is larger than the physical one comes in several calls: those but the last carry weights whose
    attribute ``last`` is False (as `PoissonBatches` yields them); their clipped sums are added up, noised once and
    applied by the last call.

    The step is compiled on its first call for each shape of batch. A private step refuses (`PrivacyError`) whatever the
    passes cannot follow, and every step with a policy refuses to run where the passes did not see its graph.

    Args:
        network: any Cell; it is put into training mode.
        loss_fn: a loss Cell, or a function of (outputs, labels) that returns one loss for each example, their mean or
            their sum.
        optimizer: any optimizer Cell over trained parameters of the network. The loss is multiplied by its
            ``loss_scale`` before it is differentiated; clip norm and noise are scaled alike.
        policies: `DPSGD` or `LipschitzDP`, `Suppression`, one of each, or none for ordinary training. Masks act on
            each example's gradient before it is clipped, and on the noisy one, whatever the order.
        ledger: where the spent budget is written, before each update; without one the events are kept in memory only.
            Of several workers the first keeps it.
        lower: use this product's kernels without any policy too, where they are faster than MindSpore's; steps with a
            policy always do. The results are equal to rounding. Where no kernel can be built, the step warns.

    Raises:
        PluginError: policies are given, but the passes cannot be built on this machine.
        ValueError: the optimizer's loss scale is no positive number, or is not 1 beside an adaptive clip norm
            or `LipschitzDP`, which knows single precision only.
    """

    def __init__(
        self,
        network: nn.Cell,
        loss_fn: LossFn,
        optimizer: nn.Cell,
        policies: Sequence[Policy] = (),
        *,
        ledger: Ledger | None = None,
        lower: bool = False,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.dpsgd, masked = by_kind(policies)
        self._scale = _loss_scale(optimizer, self.dpsgd)
        self.network = network.set_train()
        self.optimizer = optimizer
        self.ledger = ledger
        self.released = Released(ledger)
        self.workers = Workers.here(self.dpsgd.workers if self.dpsgd else None)
        if ledger is not None and self.workers.rank > 0:
            raise ValueError("the first worker (rank 0) keeps the ledger; give the others None")
        self.workers.share([*network.get_parameters(), *optimizer.get_parameters()])
        self.steps_done = self.not_finite = 0
        self.swept: Sensitivity | None = None
        self._rows = Rows(self.dpsgd.rows_together if self.dpsgd else 1)
        self._losses = self._rows.losses(example_losses(loss_fn))
        self._masks = Masks(masked, optimizer.parameters) if masked else None
        names = [p.name for p in optimizer.parameters]
        self._controls = Controls(self.dpsgd, names, self._scale) if self.dpsgd else None
        self.mask_parameters = ParameterTuple(self._masks.saved) if self._masks else ()
        self._pending = Pending(optimizer.parameters)
        self._guards: dict[Kind, Guard] = {}
        self._lower = lower and not policies and kernels_work()
        if policies:
            self._guard("update")  # builds the passes, or refuses, before any data is read

    def _guard(self, kind: Kind) -> Guard:
        """The compiled step of one kind; made when first needed."""
        if kind not in self._guards:
            parameters = list(self.optimizer.parameters)
            controls = self._controls.parameters if self._controls else {}
            masks = self._masks.masks if self._masks else {}
            sums = self._pending.sums() if kind != "update" else ()
            parts = Parts(
                self._rows.network(self.network),
                self._losses,
                self.optimizer,
                tuple(controls.values()),
                tuple(masks.values()),
                sums,
                self.private,
                self._scale,
            )
            names = {"parameters": [p.name for p in parameters], "controls": list(controls), "masked": list(masks)}
            marked = self.private or self._masks is not None or self._lower
            self._guards[kind] = Guard(
                parts, kind, names, (lambda graph: self._rewrite(graph, kind)) if marked else None
            )
        return self._guards[kind]

    def _rewrite(self, graph: StepGraph, kind: Kind) -> Compiled:
        return rewrite(graph, kind, self.dpsgd, self._masks is not None, self._declared(), self.workers.group)

    def _declared(self) -> Declared:
        """What the graph itself cannot say of its untrained Parameters."""
        names = set(self.dpsgd.public) if self.dpsgd else set[str]()
        names |= self._controls.names if self._controls else set()
        names |= {m.name for m in self.mask_parameters}
        return Declared(frozenset(names), frozenset(p.name for p in self._pending.made))

    @property
    def clip_norm(self) -> float | None:
        """The clip norm of the next step where it adapts; None otherwise."""
        return self._controls.clip_norm if self._controls and self.dpsgd and self.dpsgd.adaptive else None

    def resume_clip_norm(self, clip_norm: float | None) -> None:
        """Goes on with the adapted clip norm of a checkpoint."""
        if clip_norm is not None and self._controls:
            self._controls.resume(clip_norm)

    @property
    def pending(self) -> bool:
        """Whether a logical batch is half done."""
        return self._pending.batches > 0

    def construct(self, images: Any, labels: Any, weights: Any = None) -> Tensor:
        """See `__call__`."""
        return self(images, labels, weights)

    def __call__(self, images: Any, labels: Any, weights: Any = None) -> Tensor:
        """One update, or one physical batch of it.

        Args:
            images: ``[B, ...]``, labels: ``[B, ...]``: tensors or arrays; every row is one record.
            weights: ``[B]``, 1 = a real example, 0 = padding of a Poisson batch; None: every row is real. Where rows
                are views of records, one over the number of views of each takes the place of 1.

        Returns:
            The mean loss of the real rows so far, a scalar; not released.

        Raises:
            PrivacyError: the step cannot be shown to be private, or ran past the passes.
            BudgetExceeded: the ledger's budget does not cover this step; nothing was updated.
            ValueError: the batch has another form.
        """
        last = getattr(weights, "last", True)
        batch = self._rows.batch(images, labels, weights)
        if self.dpsgd and self.dpsgd.adaptive and not last:
            raise ValueError("an adaptive clip norm needs whole logical batches; choose a larger physical_batch")
        guard = self._guard("update" if last and not self._pending.batches else "finish" if last else "add")
        with self._stating():
            compiled = guard.prepare(*batch)
            if self._controls and compiled:
                self.swept = self._swept(compiled)
                self._controls.set(self.steps_done, self.swept)
            if last and compiled:
                self._together(compiled, batch)
            loss, not_finite = guard.run(*batch)
        self.not_finite += int(not_finite.asnumpy())
        if not last or self._pending.batches:
            loss = self._pending.mean(loss, batch[2], last)
        if last:
            self.steps_done += 1
            if self._masks:
                self._masks.update(self.steps_done)
        return loss

    def prepare(self, images: Any, labels: Any) -> None:
        """Compiles the step for batches of this shape, through its passes; nothing runs and nothing is released.

        Raises:
            PrivacyError: the step cannot be shown to be private.
        """
        with self._stating():
            self._guard("update").prepare(*self._rows.batch(images, labels, None))

    def _stating(self) -> AbstractContextManager[None]:
        """Within it, cells state the bounds that a sweep reads."""
        return marking(self.network, self._losses) if isinstance(self.dpsgd, LipschitzDP) else nullcontext()

    def _swept(self, compiled: Compiled) -> Sensitivity | None:
        """What one example's gradient adds, for the weights as they are; None where gradients are clipped."""
        if not isinstance(self.dpsgd, LipschitzDP):
            return None
        return sensitivity(self.dpsgd, compiled.bounds, list(self.network.get_parameters()))

    def _together(self, compiled: Compiled, batch: Sequence[Tensor]) -> None:
        """Accounts for the step, and makes sure that all workers run it."""
        refused = None
        try:
            self._account(compiled)
        except _FAILURES as error:  # raised when the other workers know of it
            refused = error
        controls = list(self._controls.parameters.values()) if self._controls else []
        position = self.steps_done, [b.shape for b in batch]
        self.workers.agree(refused, position, controls, list(self.optimizer.parameters))

    def _account(self, compiled: Compiled) -> None:
        """Writes down what the graph is about to release, before it does."""
        if (controls := self._controls) is None:
            return
        found = {release.what: release for release in compiled.releases}
        gradients, count = found["gradients"], found.get("count")
        noise = controls.value(gradients.noise_multiplier)
        if noise == 0 and not self.released.unprotected:
            warnings.warn(
                "noise_multiplier is 0: gradients are clipped, but the run is not private (epsilon is infinite)",
                PrivacyWarning,
                stacklevel=4,
            )
        count_noise = None if count is None else controls.value(count.noise_multiplier)
        self.released.append(gradients.sampling_rate, noise, count_noise, self._rows.together)


def _loss_scale(optimizer: nn.Cell, policy: PrivatePolicy | None) -> float:
    scale = float(getattr(optimizer, "loss_scale", 1.0))
    if not 0 < scale < float("inf"):
        raise ValueError(f"the optimizer has loss_scale={scale}, and it must be positive and finite")
    if scale != 1 and policy is not None and (policy.adaptive or isinstance(policy, LipschitzDP)):
        raise ValueError(f"the optimizer has loss_scale={scale}; an adaptive clip norm and LipschitzDP need 1")
    return scale
