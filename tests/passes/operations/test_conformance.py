"""Every operation of the table clips, in the compiled graph, what one example at a time gives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest
from mindspore import Tensor, nn, ops

from . import convolution_cases, dense_cases, loss_cases, normalisation_cases, pointwise_cases, sequence_cases
from .brute_force import Case, compare, cube

FAMILIES = {
    "dense": dense_cases.CASES,
    "convolution": convolution_cases.CASES,
    "normalisation": normalisation_cases.CASES,
    "sequence": sequence_cases.CASES,
    "pointwise": pointwise_cases.CASES,
    "loss": loss_cases.CASES,
}
#: Networks over the same rows are compiled side by side, as many at a time: compilation is what takes the time.
TOGETHER = 4


class Beside(nn.Cell):
    """Several networks over the same rows; each parameter's update is compared by itself."""

    def __init__(self, networks: list[nn.Cell]) -> None:
        super().__init__()
        self.networks = nn.CellList(networks)

    def construct(self, x: Tensor) -> Tensor:
        parts = [ops.reshape(network(x), (x.shape[0], -1)) for network in self.networks]
        return ops.cat(parts, 1)


def _key(item: tuple[str, Case]) -> tuple[Any, ...]:
    """What cases must share to stand side by side; one with a loss or declarations of its own stays alone."""
    name, case = item
    plain = case.loss is cube and case.labels is None and not case.public and case.tolerance == Case.tolerance
    return (case.rows.shape, str(case.rows.dtype), case.rows.tobytes(), "" if plain else name)


def _groups(cases: dict[str, Case]) -> Iterator[tuple[str, Case]]:
    for _, same in groupby(sorted(cases.items(), key=_key), key=_key):
        members = list(same)
        for first in range(0, len(members), TOGETHER):
            some = members[first : first + TOGETHER]
            yield "+".join(name for name, _ in some), _beside([case for _, case in some])


def _beside(cases: list[Case]) -> Case:
    if len(cases) == 1:
        return cases[0]
    return Case(lambda: Beside([case.build() for case in cases]), cases[0].rows)


CASES = [pytest.param(case, id=f"{family}-{name}") for family, some in FAMILIES.items() for name, case in _groups(some)]


@pytest.mark.parametrize("case", CASES)
def test_the_clipped_sum_is_that_of_one_example_at_a_time(case: Case) -> None:
    result = compare(case)
    assert 0 < result.clipped < result.rows
    assert result.worst <= case.tolerance, result.errors
