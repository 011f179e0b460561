"""`check` lists every reason at once and changes nothing; `with_group_norm` gives a network that passes it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from mindspore import Tensor, nn

from mindveil.runtime import DPSGD, PrivateStep, Suppression, check, with_group_norm
from mindveil.runtime.datasets import ImageData
from mindveil.runtime.networks import LeNet5

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
IMAGES, LABELS = np.random.default_rng(0).normal(size=(4, 2, 6, 6)).astype(np.float32), np.arange(4, dtype=np.int32)


class Block(nn.Cell):
    """Convolutions with batch statistics, one of them inside a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.tail = nn.SequentialCell(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
        self.flatten = nn.Flatten()
        self.fc = nn.Dense(6 * 6 * 6, 4)

    def construct(self, x: Tensor) -> Tensor:
        return self.fc(self.flatten(self.tail(self.bn(self.conv(x)))))


def test_a_network_that_can_be_trained_has_no_problem(digits: ImageData) -> None:
    assert check(LeNet5(), LOSS, digits.train_images[:4], digits.train_labels[:4]) == ()


def test_every_batch_norm_is_named_and_nothing_changes() -> None:
    network = Block()
    network.set_train(False)
    before = [p.asnumpy().copy() for p in network.get_parameters()]
    found = "\n".join(check(network, LOSS, IMAGES, LABELS))
    assert "bn" in found
    assert "tail.1" in found or "1-BatchNorm2d" in found
    assert "GroupNorm or nn.LayerNorm" in found
    assert not network.training
    for old, now in zip(before, network.get_parameters(), strict=True):
        np.testing.assert_array_equal(old, now.asnumpy())


def test_the_copy_with_group_norm_can_be_trained_and_the_original_is_left_alone() -> None:
    network = Block()
    network.bn.gamma.set_data(Tensor(np.array([1, 2, 3, 4], np.float32)))
    copy = with_group_norm(network)
    assert check(copy, LOSS, IMAGES, LABELS) == ()
    assert isinstance(network.bn, nn.BatchNorm2d)
    assert isinstance(copy.bn, nn.GroupNorm)
    assert isinstance(copy.tail[1], nn.GroupNorm)
    assert copy.bn.num_groups == 4
    assert copy.tail[1].num_groups == 2
    np.testing.assert_array_equal(copy.bn.gamma.asnumpy(), [1, 2, 3, 4])
    assert {p.name for p in copy.trainable_params()} == {p.name for p in network.trainable_params()}


def test_a_loss_that_is_a_mean_is_taken_apart_by_rows() -> None:
    assert check(nn.Dense(3, 2), _mean, np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)) == ()


def _mean(outputs: Tensor, labels: Tensor) -> Tensor:
    return ((outputs - labels) ** 2).mean()


@pytest.mark.parametrize("policies", ["private", "both"])
def test_the_picture_shows_every_parameter_and_its_stages(digits: ImageData, policies: str) -> None:
    network = LeNet5()
    chosen = [DPSGD(1.0, 1.0, 0.1, 40)]
    step = PrivateStep(
        network,
        LOSS,
        nn.SGD(network.trainable_params(), 0.1),
        [*chosen, Suppression(sparsity=0.5, steps=5)] if policies == "both" else chosen,
    )
    with pytest.raises(ValueError, match="call the step once, or prepare it"):
        step.picture()
    step.prepare(digits.train_images[:4], digits.train_labels[:4])
    texts = [t.text or "" for t in ElementTree.fromstring(step.picture()).iter("{http://www.w3.org/2000/svg}text")]
    names = [p.name for p in network.trainable_params()]
    assert all(name in texts for name in names)
    assert texts.count("clip, sum") == len(names)
    assert texts.count("mask") == (5 if policies == "both" else 0)
    assert texts.count("over 4") == len(names)
    table = step.explain()
    found = re.fullmatch(r"compiled in (\S+) s, (\S+) s of it in the passes", table.splitlines()[-1])
    assert found
    assert 0 < float(found[2]) < float(found[1])
    assert all(f"\n{name}" in table for name in names)
    assert "returned and not released" in table
