"""From attack results to what the report keeps of them."""

from __future__ import annotations

import numpy as np
import pytest

from mindveil.tools.attacks import Targets, attack
from mindveil.tools.report import attack_record, paired_differences

from .networks import digits, lenet5


def test_attack_results_become_records_and_paired_differences() -> None:
    images, labels = digits()
    targets = Targets(images[:10], labels[:10], images[100:200], labels[100:200])
    results = {name: attack(lenet5(seed), targets, features="fc1", attacks=["ridge"]) for seed, name in enumerate("ab")}
    record = attack_record(results["a"]["ridge"])
    assert record.true_loss is None
    assert record.scores["l2"].n == 10
    differences = paired_differences(results, "a")
    assert {item.name for item in differences} == {"l2", "ssim", "identification_rate"}
    by_hand = np.mean(results["b"]["ridge"].evaluation.records["l2"] - results["a"]["ridge"].evaluation.records["l2"])
    assert differences[0].score.value == pytest.approx(by_hand)
