"""Every operation of the table clips, in the compiled graph, what one example at a time gives."""

from __future__ import annotations

import pytest

from . import convolution_cases, dense_cases, loss_cases, normalisation_cases, pointwise_cases, sequence_cases
from .brute_force import Case, compare

FAMILIES = {
    "dense": dense_cases.CASES,
    "convolution": convolution_cases.CASES,
    "normalisation": normalisation_cases.CASES,
    "sequence": sequence_cases.CASES,
    "pointwise": pointwise_cases.CASES,
    "loss": loss_cases.CASES,
}
CASES = [
    pytest.param(case, id=f"{family}-{name}") for family, cases in FAMILIES.items() for name, case in cases.items()
]


@pytest.mark.parametrize("case", CASES)
def test_the_clipped_sum_is_that_of_one_example_at_a_time(case: Case) -> None:
    result = compare(case)
    assert 0 < result.clipped < result.rows
    assert result.worst <= case.tolerance, result.errors
