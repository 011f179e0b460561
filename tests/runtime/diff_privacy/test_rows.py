"""Rows of a batch as examples of a step: single ones, or groups that are clipped as one."""

from __future__ import annotations

import numpy as np
import pytest
from mindspore import nn

from mindveil.accountant import ClippedTogether, Composed, PoissonSampled, Sequence
from mindveil.runtime import DPSGD, PrivateStep
from mindveil.runtime.rows import Rows

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")


def test_single_rows_stay_as_they_are() -> None:
    images, labels, weights = Rows().batch(np.ones((3, 2)), np.arange(3), [1, 0, 1])
    assert (images.shape, labels.shape, weights.asnumpy().tolist()) == ((3, 2), (3,), [1.0, 0.0, 1.0])


def test_rows_become_groups_in_their_order() -> None:
    rows = np.arange(12.0).reshape(6, 2)
    images, labels, weights = Rows(3).batch(rows, np.arange(6), np.array([1, 1, 1, 0, 0, 0]))
    np.testing.assert_array_equal(images.asnumpy(), rows.reshape(2, 3, 2))
    np.testing.assert_array_equal(labels.asnumpy(), [[0, 1, 2], [3, 4, 5]])
    assert weights.asnumpy().tolist() == [1.0, 0.0]


def test_rows_that_make_no_whole_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="the batch has 5 rows, and they must make groups of 3"):
        Rows(3).batch(np.ones((5, 2)), np.ones(5), None)
    with pytest.raises(ValueError, match="groups of 3 rows are clipped together and must be whole"):
        Rows(3).batch(np.ones((6, 2)), np.ones(6), [1, 1, 1, 1, 0, 0])
    with pytest.raises(ValueError, match="weights must be 0 or 1 for each of the 6 rows"):
        Rows(3).batch(np.ones((6, 2)), np.ones(6), [1, 1, 0.5, 1, 0, 0])
    with pytest.raises(ValueError, match="weights must be 0 or 1 for each of the 6 rows"):
        Rows(3).batch(np.ones((6, 2)), np.ones(6), [0.5] * 6)  # shares are for views of single records


def test_a_policy_says_how_many_rows_are_clipped_as_one() -> None:
    network = nn.Dense(5, 2)
    policy = DPSGD(1.0, 1.0, sampling_rate=0.1, dataset_size=60, rows_together=3)
    assert policy.expected_batch == 2.0
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.1), [policy])
    loss = step(np.ones((6, 5), np.float32), np.zeros(6, np.int32))
    assert np.isfinite(loss.asnumpy())
    assert step.events == Sequence([Composed(PoissonSampled(0.1, ClippedTogether(1.0, 3)), 1)])
    with pytest.raises(ValueError, match="rows_together is 0, and must be positive"):
        DPSGD(1.0, 1.0, 0.1, 60, rows_together=0)
