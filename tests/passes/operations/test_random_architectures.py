"""Networks drawn from the table: the compiled private step clips what one example at a time gives."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from .architectures import draw
from .brute_force import compare

#: ``benchmarks/random_architectures.py`` asks for more.
NUMBER = int(os.environ.get("MINDVEIL_ARCHITECTURES", "30"))


@pytest.mark.parametrize("seed", range(NUMBER))
def test_the_clipped_sum_of_a_random_network_is_that_of_one_example_at_a_time(seed: int) -> None:
    drawn = draw(seed)
    result = compare(drawn.case)
    assert 0 < result.clipped < result.rows, drawn.layers
    assert result.worst <= drawn.case.tolerance, (drawn.layers, result.errors)


def test_the_networks_are_not_all_alike() -> None:
    layers = Counter(name for seed in range(200) for name in draw(seed).layers)
    assert len(layers) > 60
    assert len({draw(seed).layers for seed in range(200)}) > 190
