"""Dropout: the record that was dropped from is clipped by the gradient that it really has."""

from __future__ import annotations

import warnings

import mindspore as ms
import numpy as np
from mindspore import nn

from mindveil.accountant import PrivacyWarning

from .brute_force import Case, private_step

KEPT = 0.75


def test_the_mask_that_was_drawn_is_the_one_that_the_norm_is_taken_with() -> None:
    # Each record has inputs of its own, so that its part of the weight's gradient can be read off the sum.
    rows = np.kron(np.eye(4), np.ones((1, 8))).astype(np.float32)
    labels = np.array([[0.1], [0.2], [3.0], [5.0]], np.float32)
    ms.set_seed(1)
    network = nn.SequentialCell(nn.Dropout(p=1 - KEPT), nn.Dense(32, 1, has_bias=False, weight_init="zeros"))
    step = private_step(Case(lambda: network, rows, labels), network, clip_norm=2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrivacyWarning)
        step(rows, labels)
    parts = -2 * network[1].weight.asnumpy().reshape(4, 8)
    dropped = 0
    for record in range(4):
        own = parts[record]
        mask = own != 0
        dropped += int((~mask).sum())
        gradient = mask * labels[record, 0] / KEPT
        wanted = gradient * min(1.0, 2.0 / np.linalg.norm(gradient))
        np.testing.assert_allclose(own, wanted, rtol=1e-5)
    assert 0 < dropped < 32
