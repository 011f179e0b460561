"""The controller of suppress privacy: holds the masks, decides when they change, and changes them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn
from numpy.typing import NDArray

from mindveil.runtime.log import LogUtil
from mindveil.runtime.policies import GivenMasks
from mindveil.runtime.sup_privacy import readout
from mindveil.runtime.sup_privacy.choose import Rules, count, rank, smallest, smallest_groups
from mindveil.runtime.sup_privacy.describe import MaskLayerDes
from mindveil.runtime.sup_privacy.layers import Layer, resolve
from mindveil.runtime.sup_privacy.plan import Plan, Progress

__all__ = ["SuppressCtrl"]

TAG = "SuppressCtrl"
STATE = "suppress.progress"
GREATEST_RATE = 0.5


class SuppressCtrl:
    """Suppresses more and more of the smallest weights of the described layers, and keeps them at zero.

    Masks, and how far the suppression has got, are Parameters: the compiled step of a `SuppressModel` reads the masks
    and is not compiled again when they change, and both are saved and restored with its checkpoints. No privacy
    guarantee follows from suppression: there is no epsilon.

    Args:
        networks: the network that is trained; its parameters keep their names.
        mask_layers: descriptions of the layers to suppress.
        end_epoch, start_epoch: the last and the first epoch with suppress operations, counted from 1, at most 100.
        batch_num: steps in an epoch.
        mask_times: number of suppress operations.
        lr: learning rate, which is only compared with the optimizer's: removal works whatever it is. In (0, 0.5].
        sparse_end, sparse_start: share of zeros at the end and at the beginning,
            ``0.0 <= sparse_start < sparse_end < 1.0``.
        schedule: share of zeros as a function of the steps since the beginning, in place of the cubic one.

    Raises:
        TypeError, ValueError: an argument is of the wrong type, out of range, or names a layer that is not there.
    """

    def __init__(
        self,
        networks: nn.Cell,
        mask_layers: list[MaskLayerDes],
        end_epoch: int,
        batch_num: int,
        start_epoch: int,
        mask_times: int,
        lr: float,
        sparse_end: float,
        sparse_start: float,
        *,
        schedule: Callable[[int], float] | None = None,
    ) -> None:
        _check(networks, mask_layers, lr)
        self.networks = networks
        self.mask_layers = mask_layers
        self.lr = lr
        self.plan = Plan(end_epoch, batch_num, start_epoch, mask_times, sparse_end, sparse_start, schedule)
        self.layers = resolve(networks, mask_layers)
        self.state = Parameter(Tensor(np.zeros(4, np.float64)), name=STATE, requires_grad=False)
        self.to_do_mask = False
        self._changes = {layer.name: np.zeros(0, np.float32) for layer in self.layers}
        # The noise on weights can be repeated where the user has called mindspore.set_seed, and only there.
        self._seed = int(ms.get_seed() if ms.get_seed() is not None else secrets.randbits(128))

    # -------------------------------------------------------------------------------------------------- the schedule
    @property
    def progress(self) -> Progress:
        """How far the suppression has got."""
        _, start, last, sparsity = self.state.asnumpy()
        return Progress(int(start), int(last), float(sparsity), self.to_do_mask)

    @property
    def steps_seen(self) -> int:
        """Steps of the whole training so far, of earlier calls of ``train`` and earlier processes too."""
        return int(self.state.asnumpy()[0])

    @property
    def cur_sparse(self) -> float:
        """The share of zeros that the last operation aimed at."""
        return self.progress.sparsity

    @property
    def mask_started(self) -> bool:
        """Whether suppression has begun."""
        return self.progress.started

    def update_status(self, cur_epoch: int, cur_step: int, cur_step_in_epoch: int) -> None:
        """Finds out whether a suppress operation belongs at the end of the present step; `to_do_mask` says so.

        Args:
            cur_epoch, cur_step, cur_step_in_epoch: epoch, step of the whole training, step of the epoch, all from 1.
        """
        after = self.plan.after(self.progress, cur_epoch, cur_step, cur_step_in_epoch)
        self.to_do_mask = after.due
        values = np.array([cur_step, after.start_step, after.last_step, after.sparsity], np.float64)
        self.state.set_data(Tensor(values))

    def follow(self, batch_num: int) -> None:
        """Plans with another number of steps an epoch: that of the data set which really comes."""
        self.plan = replace(self.plan, batch_num=batch_num)

    # ----------------------------------------------------------------------------------------------------- the masks
    @property
    def policy(self) -> GivenMasks:
        """The masks as a policy of a training step."""
        return GivenMasks({layer.name: layer.mask for layer in self.layers}, (self.state,))

    @property
    def changes(self) -> dict[str, NDArray[Any]]:
        """What the operation at the end of this step added to each layer's weights; zeros after `reset_zeros`."""
        return {
            layer.name: (self._changes[layer.name] if self._changes[layer.name].size else np.zeros(layer.size))
            for layer in self.layers
        }

    def update_mask(self, networks: nn.Cell, cur_step: int, target_sparse: float = 0.0) -> None:
        """Suppresses the weights that belong to the present sparsity, at once, and those that were before.

        Args:
            networks: the network that is trained.
            cur_step: step of the whole training.
            target_sparse: another sparsity, if above 0.

        Raises:
            ValueError: the network is another one.
        """
        own = {id(p) for p in networks.get_parameters()}
        sparsity = target_sparse if target_sparse > 0 else self.cur_sparse
        for layer in self.layers:
            if id(layer.parameter) not in own:
                raise ValueError(f"networks does not hold {layer.name} of the network that the controller was made for")
            wanted = count(layer.size, sparsity, layer.description.min_num)
            if wanted > 0:
                self._operate(layer, wanted, cur_step)
        LogUtil.get_instance().info(TAG, "step %d: sparsity %.6f", cur_step, sparsity)

    def _operate(self, layer: Layer, wanted: int, step: int) -> None:
        weights, magnitudes = layer.weights(), np.abs(layer.weights())
        if layer.description.structure != "weight":
            rows = (int(layer.parameter.shape[0]), -1)
            kept = smallest_groups(weights.reshape(rows), layer.kept().reshape(rows), wanted)
            self._set(layer, np.where(kept.reshape(-1), weights, 0), kept.reshape(-1))
        elif layer.masked_only:
            self.update_mask_layer_approximity(weights, magnitudes, wanted, layer.position)
        else:
            threshold = rank(np.where(layer.kept(), magnitudes, 0), wanted)
            self._exact(layer, weights, threshold, wanted, step)

    def update_mask_layer(
        self,
        weight_array_flat: NDArray[Any],
        sparse_weight_thd: float,
        sparse_stop_pos: int,
        weight_abs_max: float,
        layer_index: int,
    ) -> None:
        """Suppresses weights of one layer, and applies its lower clip, upper bound and noise.

        Args:
            weight_array_flat: the layer's weights.
            sparse_weight_thd: magnitude up to which weights may be suppressed.
            sparse_stop_pos: how many are suppressed at most, with those that are already.
            weight_abs_max: their largest magnitude; accepted, and not needed.
            layer_index: the layer's ``grad_idx``.
        """
        self._exact(self._layer(layer_index), weight_array_flat, sparse_weight_thd, sparse_stop_pos, self.steps_seen)

    def update_mask_layer_approximity(
        self,
        weight_array_flat: NDArray[Any],
        weight_array_flat_abs: NDArray[Any],
        actual_stop_pos: int,
        layer_index: int,
    ) -> float:
        """Suppresses weights of one layer and nothing else: no lower clip, no upper bound, no noise.

        Args:
            weight_array_flat, weight_array_flat_abs: the layer's weights and their magnitudes.
            actual_stop_pos: how many are suppressed, with those that are already.
            layer_index: the layer's ``grad_idx``.

        Returns:
            The largest magnitude that was suppressed now; 0.0 if none was.
        """
        layer = self._layer(layer_index)
        before = layer.kept()
        kept = smallest(weight_array_flat_abs, before, actual_stop_pos)
        gone = weight_array_flat_abs[before & ~kept]
        self._set(layer, np.where(kept, weight_array_flat, 0), kept)
        return float(gone.max()) if gone.size else 0.0

    def reset_zeros(self) -> None:
        """Forgets what the last operation added to the weights: `changes` holds zeros from then on."""
        self._changes = {name: np.zeros(0, np.float32) for name in self._changes}

    def _exact(self, layer: Layer, weights: NDArray[Any], threshold: float, wanted: int, step: int) -> None:
        most = min(wanted, count(layer.size, 1.0, layer.description.min_num))
        kept = smallest(weights, layer.kept(), most, threshold)
        rng = np.random.default_rng([self._seed, step, layer.position])
        self._set(layer, Rules.of(layer.description).apply(weights, kept, threshold, rng), kept)

    def _set(self, layer: Layer, weights: NDArray[Any], kept: NDArray[np.bool_]) -> None:
        self._changes[layer.name] = weights - layer.weights()
        layer.put(weights, kept)

    def _layer(self, index: int) -> Layer:
        for layer in self.layers:
            if layer.position == index:
                return layer
        raise ValueError(f"layer_index is {index}, and must be one of {[layer.position for layer in self.layers]}")

    # ---------------------------------------------------------------------------------------------------- reading off
    def calc_theoretical_sparse_for_conv(self) -> tuple[float, ...]:
        """The share of suppressed weights by the masks of all masked convolutions: together, then one by one."""
        return readout.theoretical(self.layers)

    def calc_actual_sparse_for_conv(self, networks: nn.Cell) -> tuple[float, ...]:
        """The share of weights that are zero in the masked convolutions of a network: together, then one by one."""
        return readout.actual(self.layers, networks)

    def calc_actual_sparse_for_layer(self, networks: nn.Cell, layer_name: str) -> float:
        """The share of weights that are zero in one layer of a network, masked or not.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: the network has no such layer.
        """
        return readout.of_layer(networks, layer_name)


def _check(networks: nn.Cell, mask_layers: list[MaskLayerDes], lr: float) -> None:
    if not isinstance(networks, nn.Cell):
        raise TypeError(f"networks is {type(networks).__name__}, and must be a Cell")
    if not isinstance(mask_layers, list):
        raise TypeError(f"mask_layers is {type(mask_layers).__name__}, and must be a list of MaskLayerDes")
    for item in mask_layers:
        if not isinstance(item, MaskLayerDes):
            raise ValueError(f"mask_layers holds {item!r}, and must hold MaskLayerDes only")
    if isinstance(lr, bool) or not isinstance(lr, (int, float)):
        raise TypeError(f"lr is {lr!r}, and must be a number")
    if not 0 < lr <= GREATEST_RATE:
        raise ValueError(f"lr is {lr}, and must be above 0 and at most {GREATEST_RATE}")
