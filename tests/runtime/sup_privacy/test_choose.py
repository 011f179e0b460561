"""Which weights go and what becomes of the rest, against the original's rules written as a loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mindveil.runtime.sup_privacy import MaskLayerDes
from mindveil.runtime.sup_privacy.choose import Rules, count, rank, smallest, smallest_groups


def one_by_one(weights: NDArray[Any], kept: NDArray[Any], threshold: float, rules: Rules) -> list[float | None]:
    """The rules in their order, weight by weight; None where noise is drawn."""
    after: list[float | None] = []
    for w, keep in zip(weights, kept, strict=True):
        if not keep:
            after.append(0.0)
        elif abs(w) <= threshold:
            after.append(float(np.sign(w)) * min(0.005, threshold))
        elif rules.lower and abs(w) <= 0.005 and threshold > 0.0025:
            after.append(0.005 if w > 0 else -0.005)
        elif abs(w) > rules.bound:
            after.append(float(np.sign(w)) * rules.bound)
        elif rules.noisy and abs(w) > 0.5:
            after.append(None)
        else:
            after.append(float(w))
    return after


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.002, 0.0026, 0.004, 0.3])
def test_the_rules_are_those_of_the_original(lower: bool, noisy: bool, threshold: float) -> None:
    rng = np.random.default_rng(0)
    weights = np.concatenate([rng.normal(0, 0.6, 300), rng.normal(0, 0.004, 300), [1.2, -1.2, 0.5, 0.005]])
    kept = rng.random(weights.size) < 0.7
    rules = Rules(lower, noisy, 1.2)
    after = rules.apply(weights, kept, threshold, np.random.default_rng(1))
    drawn = []
    for before, got, wanted in zip(weights, after, one_by_one(weights, kept, threshold, rules), strict=True):
        if wanted is None:
            drawn.append(got - before)
        else:
            assert got == wanted
    assert bool(drawn) == noisy
    assert np.abs(drawn).max(initial=0) < 0.1
    assert not drawn or np.std(drawn) > 0.04  # uniform on (-0.1, 0.1): 0.058


def test_the_rules_come_from_the_description() -> None:
    assert Rules.of(MaskLayerDes("w", 0, True, False, 1, 0.01)) == Rules(False, True, 0.10)
    assert Rules.of(MaskLayerDes("w", 0, False, True, 1, 3)) == Rules(True, False, 3.0)


@pytest.mark.parametrize(
    ("size", "sparsity", "minimum", "wanted"),
    [(150, 0.95, 10, 140), (2400, 0.95, 50, 2280), (840, 0.95, 50, 790), (840, 0.95, -1, 798), (10, 0.99, 20, 0)],
)
def test_the_number_of_suppressed_weights_respects_the_minimum(
    size: int, sparsity: float, minimum: int, wanted: int
) -> None:
    assert count(size, sparsity, minimum) == wanted


def test_the_smallest_go_first_and_what_is_gone_stays_gone() -> None:
    rng = np.random.default_rng(2)
    weights, kept = rng.normal(size=200), np.ones(200, bool)
    for wanted in (0, 10, 10, 57, 180, 200):
        before, kept = kept, smallest(weights, kept, wanted)
        assert (~kept).sum() == wanted
        assert not (kept & ~before).any()
        gone = before & ~kept
        if gone.any() and kept.any():
            assert np.abs(weights[gone]).max() <= np.abs(weights[kept]).min()
        weights = weights + 5 * ~kept  # weights that are gone may drift without coming back


def test_of_equal_weights_the_first_go_and_no_more_than_wanted() -> None:
    kept = smallest(np.array([2.0, -2.0, 1.0, 2.0]), np.ones(4, bool), 2)
    np.testing.assert_array_equal(kept, [False, True, False, True])
    np.testing.assert_array_equal(smallest(np.zeros(5), np.ones(5, bool), 3), [False, False, False, True, True])


def test_a_threshold_spares_what_is_larger() -> None:
    kept = smallest(np.array([0.1, 0.2, 0.3, 0.4]), np.ones(4, bool), 3, threshold=0.2)
    np.testing.assert_array_equal(kept, [False, False, True, True])


def test_whole_rows_go_by_their_norm() -> None:
    rows = np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 2.0], [9.0, 9.0]])
    kept = smallest_groups(rows, np.ones_like(rows, bool), 5)  # two whole rows, since three would be too many
    np.testing.assert_array_equal(kept, [[True, True], [False, False], [False, False], [True, True]])
    again = smallest_groups(rows + 100 * ~kept, kept, 6)
    np.testing.assert_array_equal(again, [[False, False], [False, False], [False, False], [True, True]])


def test_the_rank_counts_from_one() -> None:
    values = np.array([5.0, 1.0, 3.0])
    assert [rank(values, k) for k in (1, 2, 3, 9)] == [1.0, 3.0, 5.0, 5.0]
