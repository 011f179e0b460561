"""Ordinary training with this product's kernels beside MindSpore's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mindspore import Tensor, nn

from mindveil.passes.bridge import plugin
from mindveil.passes.bridge.plugin import PluginError
from mindveil.runtime import PrivateModel, PrivateStep
from mindveil.runtime.datasets import ImageData
from mindveil.runtime.networks import LeNet5

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")


def updated(step: PrivateStep, batch: tuple[Any, Any]) -> list[Any]:
    """The weights after two updates of the same network."""
    for k, p in enumerate(step.network.trainable_params()):
        p.set_data(Tensor(np.random.default_rng(k).normal(0, 0.1, p.shape).astype(np.float32)))
    for _ in range(2):
        step(*batch)
    return [p.asnumpy() for p in step.network.trainable_params()]


def make(lower: bool) -> PrivateStep:
    network = LeNet5()
    return PrivateStep(network, LOSS, nn.Momentum(network.trainable_params(), 0.1, 0.9), lower=lower)


def test_a_lowered_step_is_the_ordinary_one_to_rounding(digits: ImageData) -> None:
    batch = (digits.train_images[:12], digits.train_labels[:12])
    step = make(lower=True)
    lowered, ordinary = updated(step, batch), updated(make(lower=False), batch)
    for a, b in zip(lowered, ordinary, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)
    graph = step._last_graph()
    kernels = {n.attrs["func_name"].value.split(":")[-1] for n in graph.fast.operations if n.op == "Custom"}
    assert kernels == {"mindveil_max_pool_grad", "mindveil_filter_weighted"}
    assert not graph.releases
    assert step.mode == "public"
    assert step.epsilon(1e-5) == float("inf")


def test_without_a_compiler_an_ordinary_step_warns_and_trains(
    monkeypatch: pytest.MonkeyPatch, digits: ImageData
) -> None:
    def fail() -> None:
        raise PluginError("no C++ compiler found")

    monkeypatch.setattr(plugin, "load", fail)
    network = LeNet5()
    with pytest.warns(RuntimeWarning, match="MindSpore's own kernels: no C"):
        model = PrivateModel(network, LOSS, nn.SGD(network.trainable_params(), 0.1), lower=True)
    assert float(model.step(digits.train_images[:4], digits.train_labels[:4]).asnumpy()) > 0
