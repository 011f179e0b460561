"""The tutorial's inversion attack with MindArmour's arguments: its scripts on a few images, and its figures."""

from __future__ import annotations

import re
from collections.abc import Callable
from subprocess import CompletedProcess

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindveil.runtime.networks import LeNet5
from mindveil.tools.attacks import ImageInversionAttack, relative_l2, ssim


def test_the_scripts_run_to_their_end(
    write_images: Callable[[int, int], None], run_example: Callable[..., CompletedProcess[str]]
) -> None:
    write_images(96, 32)
    run_example("train_lenet5.py")
    done = run_example("train_lenet5.py", "new_trained_ckpt_file")
    assert "epoch: 10 step: 3, loss is" in done.stdout
    assert "Accuracy: {'Accuracy': " in done.stderr
    done = run_example("inversion_attack.py", instead={"10_125.ckpt": "10_3.ckpt"})
    found = re.search(r"The average L2 distance between original images and inverted images is: (\S+)", done.stderr)
    assert found
    assert 0 < float(found[1]) < 1.5
    assert "Predicted labels of inverted images are: [" in done.stderr


def test_a_cell_is_attacked_as_the_file_it_exports_to() -> None:
    ms.set_seed(3)
    network = LeNet5()
    images = np.random.default_rng(1).random((3, 1, 32, 32), dtype=np.float32)
    attack = ImageInversionAttack(network, (1, 32, 32), (0, 1), [1, 0.1, 5])
    seen = network(ms.Tensor(images)).asnumpy()
    np.testing.assert_allclose(attack.features(images), seen, atol=1e-5)
    found = attack.generate(seen, iters=3)
    assert found.shape == images.shape
    assert found.dtype == np.float32


def test_evaluation_gives_the_means_of_the_scores() -> None:
    class Judge(nn.Cell):
        """Class 0 has the first pixel as its logit, class 1 has zero."""

        def construct(self, x: ms.Tensor) -> ms.Tensor:
            first = x.reshape((x.shape[0], -1))[:, :1]
            return ms.ops.concat((first, first * 0), 1)

    generator = np.random.default_rng(2)
    original, inverted = (generator.random((4, 1, 8, 8), dtype=np.float32) for _ in range(2))
    attack = ImageInversionAttack(Judge(), (1, 8, 8))
    distance, similarity, confidence = attack.evaluate(original, inverted, np.array([0, 1, 1, 0]), Judge())
    assert distance == pytest.approx(relative_l2(original, inverted).mean())
    assert similarity == pytest.approx(ssim(original, inverted).mean())
    sure = 1 / (1 + np.exp(-inverted[:, 0, 0, 0].astype(np.float64)))
    assert confidence == pytest.approx(np.mean([sure[0], 1 - sure[1], 1 - sure[2], sure[3]]), abs=1e-6)
    assert attack.evaluate(original, inverted) == (distance, similarity, None)
    with pytest.raises(TypeError, match="give an ONNX file"):
        attack.evaluate(original, inverted, np.array([0, 1, 1, 0]), 3)
