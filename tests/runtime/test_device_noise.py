"""Noise by the device's own generator, for devices without the kernel: as strong, as fresh, and named on the card."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindveil.passes import device_noise
from mindveil.passes.graph import Constant
from mindveil.passes.privacy import PrivacyError
from mindveil.runtime import DPSGD, PrivateStep
from mindveil.runtime.datasets import ImageData
from mindveil.runtime.networks import LeNet5
from mindveil.runtime.policies import AdaptiveClipNorm

WIDTH, ROWS, SIGMAS = 300, 4, 7


class Wide(nn.Cell):
    """Two layers of one shape, so that equal noise would show."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Dense(WIDTH, WIDTH, has_bias=False)
        self.second = nn.Dense(WIDTH, WIDTH, has_bias=False)

    def construct(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def step_of(**settings: Any) -> PrivateStep:
    network = Wide()
    settings = {"noise_generator": "device", **settings}
    policy = DPSGD(0.5, 3.0, sampling_rate=0.001, dataset_size=1000, **settings)
    return PrivateStep(network, nn.MSELoss(), nn.SGD(network.trainable_params(), 1.0), [policy])


def moved(step: PrivateStep) -> list[Any]:
    """What a run without any record moves, by parameter."""
    before = [p.asnumpy().copy() for p in step.optimizer.parameters]
    rows = np.zeros((ROWS, WIDTH), np.float32)
    step(rows, rows, np.zeros(ROWS, np.float32))
    return [(p.asnumpy() - b).astype(np.float64) for p, b in zip(step.optimizer.parameters, before, strict=True)]


def test_it_is_as_strong_as_stated_and_new_for_every_parameter_run_and_step_whatever_the_seed() -> None:
    drawn = []
    for _ in range(2):
        ms.set_seed(5)
        np.random.seed(5)
        step = step_of()
        drawn += moved(step) + moved(step)
    for values in drawn:
        assert values.std() == pytest.approx(1.5, rel=SIGMAS / np.sqrt(2 * values.size))
        assert abs(values.mean()) < SIGMAS * 1.5 / np.sqrt(values.size)
    together = np.corrcoef([values.ravel() for values in drawn])
    assert np.abs(together - np.eye(len(drawn))).max() < SIGMAS / WIDTH


def test_it_is_accounted_for_explained_and_named() -> None:
    step = step_of(adaptive=AdaptiveClipNorm(count_noise=2.0))
    moved(step)
    kernel = DPSGD(0.5, 3.0, sampling_rate=0.001, dataset_size=1000, adaptive=AdaptiveClipNorm(count_noise=2.0))
    network = Wide()
    other = PrivateStep(network, nn.MSELoss(), nn.SGD(network.trainable_params(), 1.0), [kernel])
    moved(other)
    assert step.events == other.events
    assert (step.card().noise_generator, other.card().noise_generator) == ("device", "kernel")
    row = next(line for line in step.explain().splitlines() if line.startswith("first.weight"))
    assert row.split()[2:4] == ["mindveil.clip_norm", "node"]
    assert "2 gradients with Gaussian noise" in step.explain()


def test_a_seed_or_a_kernel_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="never repeated"):
        step_of(noise_seed=3)
    monkeypatch.setattr("mindveil.runtime.kinds.device_target", lambda: "Ascend")
    with pytest.raises(ValueError, match="runs on CPU, and the device is Ascend"):
        step_of(noise_generator="kernel")
    assert step_of(noise_generator=None).card().noise_generator == "device"


def test_no_kernel_for_the_processor_is_put_into_a_graph_for_another_device(
    monkeypatch: pytest.MonkeyPatch, digits: ImageData
) -> None:
    def custom(device: str) -> int:
        monkeypatch.setattr("mindveil.runtime.kinds.device_target", lambda: device)
        monkeypatch.setattr("mindveil.passes.bridge.kernels.device_target", lambda: device)
        network = LeNet5()
        loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
        step = PrivateStep(network, loss, nn.SGD(network.trainable_params(), 0.1), [DPSGD(1.0, 1.0, 0.1, 40)])
        step(digits.train_images[:4], digits.train_labels[:4])
        return sum(n.op == "Custom" for graph in step._whole_graphs() for n in graph.fast.operations)

    assert (custom("Ascend"), custom("CPU") > 3) == (0, True)


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [("seed", 7, "is not noise as a pass adds it"), ("released", None, "no noise node")],
)
def test_a_source_that_is_not_what_the_pass_made_is_refused(
    monkeypatch: pytest.MonkeyPatch, attribute: str, value: Any, message: str
) -> None:
    whole = device_noise.noisy

    def changed(build: Any, node: int, sigma: int, about: Any, released: Any) -> int:
        made = whole(build, node, sigma, about, released)
        for n in list(build.graph.nodes.values()):
            if n.op == "StandardNormal":
                attrs = {k: v for k, v in n.attrs.items() if k != attribute}
                attrs |= {} if value is None else {attribute: Constant("int", value)}
                build._added[n.id] = replace(n, attrs=attrs)
        return made

    monkeypatch.setattr(device_noise, "noisy", changed)
    with pytest.raises(PrivacyError, match=message):
        moved(step_of())
