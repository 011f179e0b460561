"""The controller and its factory by themselves, on networks that are not trained."""

from __future__ import annotations

import warnings
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindveil.runtime.networks import LeNet5
from mindveil.runtime.sup_privacy import MaskLayerDes, SuppressCtrl, SuppressPrivacyFactory


def described(**more: Any) -> list[MaskLayerDes]:
    """The tutorial's layers."""
    return [
        MaskLayerDes("conv1.weight", 0, True, True, 10),
        MaskLayerDes("conv2.weight", 1, True, True, 50),
        MaskLayerDes("fc1.weight", 2, True, False, -1),
        MaskLayerDes("fc2.weight", 4, True, False, -1),
        MaskLayerDes("fc3.weight", 6, True, False, 50),
    ]


def controller(network: nn.Cell, layers: list[MaskLayerDes] | None = None, **more: Any) -> SuppressCtrl:
    """A controller with fitting numbers, so that nothing warns."""
    numbers: dict[str, Any] = {"end_epoch": 2, "batch_num": 10, "start_epoch": 1, "mask_times": 2}
    numbers |= {"lr": 0.05, "sparse_end": 0.95, "sparse_start": 0.0} | more
    return SuppressPrivacyFactory().create(network, described() if layers is None else layers, "local_train", **numbers)


def zeros(network: nn.Cell) -> dict[str, int]:
    """Number of zero weights by parameter name."""
    return {p.name: int((p.asnumpy() == 0).sum()) for p in network.trainable_params()}


def test_an_operation_zeroes_the_smallest_weights_of_each_layer() -> None:
    network = LeNet5()
    before = {p.name: p.asnumpy().copy() for p in network.trainable_params()}
    control = controller(network)
    control.update_mask(network, 1, target_sparse=0.5)
    assert zeros(network) == {
        "conv1.weight": 75, "conv2.weight": 1200, "fc1.weight": 24000, "fc1.bias": 0, "fc2.weight": 5040, "fc2.bias": 0,
        "fc3.weight": 420, "fc3.bias": 0,
    }  # fmt: skip
    for layer in control.layers:
        kept, old = layer.kept(), before[layer.name].reshape(-1)
        np.testing.assert_array_equal(layer.weights() == 0, ~kept)
        assert np.abs(old[~kept]).max() <= np.abs(old[kept]).min()
        np.testing.assert_allclose(control.changes[layer.name], layer.weights() - old, atol=1e-7)
    control.reset_zeros()
    assert all((change == 0).all() for change in control.changes.values())
    control.update_mask(network, 2, target_sparse=0.95)
    assert zeros(network)["conv1.weight"] == 140
    assert zeros(network)["fc3.weight"] == 790
    assert zeros(network)["fc1.weight"] == 45600


def test_the_minimum_has_no_effect_where_more_stays_anyway_and_none_when_negative() -> None:
    for minimum, wanted in ((3, 135), (15, 135), (16, 134), (-1, 135), (0, 135), (1000, 0)):
        network = LeNet5()
        control = controller(network, [MaskLayerDes("conv1.weight", 0, False, False, minimum)])
        control.update_mask(network, 1, target_sparse=0.9)
        assert zeros(network)["conv1.weight"] == wanted


def test_masks_are_cumulative_also_when_the_sparsity_falls_or_weights_drift() -> None:
    network = LeNet5()
    control = controller(network)
    control.update_mask(network, 1, target_sparse=0.8)
    first = {layer.name: layer.kept() for layer in control.layers}
    for layer in control.layers:  # as an optimizer would that nobody holds back
        layer.parameter.set_data(Tensor(np.full(layer.parameter.shape, 0.3, np.float32)))
    control.update_mask(network, 2, target_sparse=0.5)
    for layer in control.layers:
        np.testing.assert_array_equal(layer.kept(), first[layer.name])
        assert (layer.weights()[~layer.kept()] == 0).all()


def test_lower_clip_upper_bound_and_noise_work_at_each_operation() -> None:
    ms.set_seed(5)
    try:
        network = nn.Dense(20, 30, has_bias=False)
        values = np.random.default_rng(0).normal(0, 0.7, (30, 20)).astype(np.float32)
        network.weight.set_data(Tensor(values))
        control = controller(network, [MaskLayerDes("weight", 0, True, True, -1, 1.0)])
        control.update_mask(network, 1, target_sparse=0.01)
        after, moved = network.weight.asnumpy(), network.weight.asnumpy() - values
        assert (after == 0).sum() == 6
        assert np.abs(after[after != 0]).min() >= 0.0049
        large, huge = (np.abs(values) > 0.5) & (np.abs(values) <= 1.0), np.abs(values) > 1.0
        np.testing.assert_array_equal(np.abs(after[huge]), 1.0)
        assert 0.04 < np.abs(moved[large]).mean() < 0.06
        assert np.abs(moved[large]).max() < 0.1
        network.weight.set_data(Tensor(values))
        again = controller(network, [MaskLayerDes("weight", 0, True, True, -1, 1.0)])
        again.update_mask(network, 1, target_sparse=0.01)
        np.testing.assert_array_equal(network.weight.asnumpy(), after)  # the same seed of MindSpore's: the same noise
    finally:
        ms.set_seed(0)


def test_large_layers_are_masked_only() -> None:
    network = nn.Dense(200, 51, has_bias=False)
    values = np.random.default_rng(0).normal(0, 2, (51, 200)).astype(np.float32)
    network.weight.set_data(Tensor(values))
    control = controller(network, [MaskLayerDes("weight", 0, True, True, -1, 0.2)])
    control.update_mask(network, 1, target_sparse=0.3)
    kept = control.layers[0].kept().reshape(values.shape)
    assert (~kept).sum() == int(10200 * 0.3)
    np.testing.assert_array_equal(network.weight.asnumpy(), np.where(kept, values, 0))


def test_single_layers_can_be_updated_from_arrays() -> None:
    network = LeNet5()
    control = controller(network)
    weights = np.linspace(-1, 1, 840, dtype=np.float32)
    control.update_mask_layer(weights, 0.1, 30, 1.0, 6)
    assert zeros(network)["fc3.weight"] == 30
    threshold = control.update_mask_layer_approximity(weights, np.abs(weights), 100, 6)
    assert zeros(network)["fc3.weight"] == 100
    assert threshold == np.sort(np.abs(weights))[99]
    assert control.update_mask_layer_approximity(weights, np.abs(weights), 100, 6) == 0.0
    with pytest.raises(ValueError, match=r"layer_index is 3, and must be one of \[0, 1, 2, 4, 6\]"):
        control.update_mask_layer(weights, 0.1, 30, 1.0, 3)


@pytest.mark.parametrize(
    ("structure", "name", "position"), [("filter", "conv2.weight", 1), ("neuron", "fc2.weight", 4)]
)
def test_filters_and_neurons_go_whole(structure: Any, name: str, position: int) -> None:
    network = LeNet5()
    control = controller(network, [MaskLayerDes(name, position, True, True, -1, structure=structure)])
    control.update_mask(network, 1, target_sparse=0.6)
    weights = control.layers[0].parameter.asnumpy()
    rows = (weights != 0).reshape(len(weights), -1)
    assert (rows.all(axis=1) | ~rows.any(axis=1)).all()
    assert (~rows.any(axis=1)).sum() == int(len(weights) * 0.6)


def test_the_read_outs_cover_whatever_convolutions_are_masked() -> None:
    class Three(nn.Cell):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Conv2d(2, 2, 2, weight_init="normal") for _ in range(3))
            self.d = nn.Dense(4, 4)

        def construct(self, x: Any) -> Any:
            return self.d(self.c(self.b(self.a(x))))

    network = Three()
    layers = [MaskLayerDes(f"{n}.weight", k, False, False, m) for k, (n, m) in enumerate([("a", -1), ("b", 10)])]
    control = controller(network, [*layers, MaskLayerDes("d.weight", 3, False, False, -1)])
    control.update_mask(network, 1, target_sparse=0.5)
    assert control.calc_theoretical_sparse_for_conv() == pytest.approx((14 / 32, 8 / 16, 6 / 16))
    assert control.calc_actual_sparse_for_conv(network) == pytest.approx((14 / 32, 8 / 16, 6 / 16))
    assert control.calc_actual_sparse_for_layer(network, "d.weight") == 0.5
    assert control.calc_actual_sparse_for_layer(network, "c.weight") == 0.0
    network.c.weight.set_data(Tensor(np.full((2, 2, 2, 2), 1e-7, np.float32)))
    assert control.calc_actual_sparse_for_layer(network, "c.weight") == 1.0
    with pytest.raises(ValueError, match=r"'e\.weight' must be the name of one parameter"):
        control.calc_actual_sparse_for_layer(network, "e.weight")
    with pytest.raises(TypeError, match="networks is str"):
        control.calc_actual_sparse_for_conv("network")
    with pytest.raises(TypeError, match="layer_name is 3"):
        control.calc_actual_sparse_for_layer(network, 3)  # type: ignore[arg-type]


def test_the_network_keeps_its_parameter_names_and_descriptions_can_be_used_again() -> None:
    network, layers = LeNet5(), described()
    names = [p.name for p in network.get_parameters()]
    first, second = controller(network, layers), controller(LeNet5(), layers)
    assert [p.name for p in network.get_parameters()] == names
    assert len(first.layers) == len(second.layers) == 5


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [MaskLayerDes("conv2.weight", 0, False, False, 1)],
            "conv2.weight is 0, which is that of conv1.weight",
        ),
        ([MaskLayerDes("conv2.weight", 99, False, False, 1)], "is 99, which is beyond the last, 7"),
        (
            [MaskLayerDes("conv9.weight", 0, False, False, 1)],
            "'conv9.weight' must be the name of one parameter",
        ),
        ([MaskLayerDes("weight", 0, False, False, 1)], r"it is part of conv1\.weight, conv2\.weight, fc1"),
        (
            [MaskLayerDes("conv1", 0, False, False, 1), MaskLayerDes("conv1.weight", 0, False, False, 1)],
            "described twice",
        ),
        ([MaskLayerDes("fc1.weight", 2, False, False, 1, structure="filter")], "'filter', but it has 2 dimensions"),
        ([MaskLayerDes("conv1.weight", 0, False, False, 1, structure="neuron")], "'neuron', but it has 4 dimensions"),
        (["conv1.weight"], "mask_layers holds 'conv1.weight'"),
    ],
)
def test_layers_that_are_not_there_or_not_what_they_seem_are_named(layers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        controller(LeNet5(), layers)


def test_another_network_is_refused() -> None:
    control = controller(LeNet5())
    control.to_do_mask = True
    with pytest.raises(ValueError, match=r"networks does not hold conv1\.weight"):
        control.update_mask(LeNet5(), 1, target_sparse=0.5)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"lr": 0.6}, ValueError, r"lr is 0\.6, and must be above 0 and at most 0\.5"),
        ({"lr": 0}, ValueError, "lr is 0"),
        ({"lr": "0.1"}, TypeError, "lr is '0.1'"),
        ({"end_epoch": 101}, ValueError, "end_epoch is 101"),
        ({"unknown": 1}, TypeError, "unknown"),
    ],
)
def test_wrong_numbers_are_named(more: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        controller(LeNet5(), **more)


def test_wrong_kinds_are_named() -> None:
    with pytest.raises(TypeError, match="networks is int"):
        controller(3)
    with pytest.raises(TypeError, match="mask_layers is tuple"):
        controller(LeNet5(), ())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="policy is 1"):
        SuppressPrivacyFactory.create(LeNet5(), [], 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="policy is 'cloud_train', and must be one of local_train"):
        SuppressPrivacyFactory.create(LeNet5(), [], "cloud_train")


def test_operations_closer_or_wider_than_advised_warn() -> None:
    for times, fitting in ((1, False), (2, True), (4, True), (8, False)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            controller(LeNet5(), batch_num=20, mask_times=times)
        assert (not caught) == fitting
    assert "8 suppress operations in 40 steps fall 5 steps apart, where 10 to 20 are advised" in str(caught[0].message)
    assert "mask_times from 2 to 4 would" in str(caught[0].message)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1, 0, True, True, 1), TypeError, "layer_name is 1"),
        (("w", -1, True, True, 1), ValueError, "grad_idx is -1"),
        (("w", True, True, True, 1), TypeError, "grad_idx is True"),
        (("w", 0, 1, True, 1), TypeError, "is_add_noise is 1, and must be True or False"),
        (("w", 0, True, None, 1), TypeError, "is_lower_clip is None"),
        (("w", 0, True, True, 1.5), TypeError, r"min_num is 1\.5"),
        (("w", 0, True, True, 1, 0), ValueError, "upper_bound is 0, and must be finite and above 0"),
        (("w", 0, True, True, 1, float("inf")), ValueError, "upper_bound is inf"),
        (("w", 0, True, True, 1, "1"), TypeError, "upper_bound is '1'"),
    ],
)
def test_descriptions_are_checked(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MaskLayerDes(*arguments)
    with pytest.raises(ValueError, match="structure is 'channel', and must be one of weight, filter, neuron"):
        MaskLayerDes("w", 0, True, True, 1, structure="channel")  # type: ignore[arg-type]
