"""Samplers of nearly equal noise counted as one, so that a schedule of any length needs few convolutions."""

import math

from mindveil.accountant.terms import Pair, SampledGaussian

__all__ = ["bucketed"]

_FEW = 40  # so many different noises of one sampling rate are convolved as they are
_WIDTH = 1.0015
_MOST = 250


def bucketed(terms: list[tuple[SampledGaussian, int]], upper: bool) -> list[tuple[SampledGaussian, int]]:
    """The same samplers with the noise of a bucket replaced by its least one if ``upper``, else by its greatest one.

    More noise is a processing of less noise, so the replaced run costs at least as much, or at most as much.
    """
    families: dict[tuple[Pair, float], list[tuple[float, int]]] = {}
    for term, count in terms:
        families.setdefault((term.pair, term.rate), []).append((term.noise, count))
    result = []
    for (pair, rate), members in families.items():
        for noise, count in members if len(members) <= _FEW else _joined(sorted(members), upper):
            result.append((SampledGaussian(pair, rate, noise), count))
    return result


def _joined(members: list[tuple[float, int]], upper: bool) -> list[tuple[float, int]]:
    width = max(_WIDTH, (members[-1][0] / members[0][0]) ** (1 / _MOST))
    joined: list[tuple[float, int]] = []
    limit = 0.0
    for noise, count in members:
        if noise > limit:
            joined.append((noise, count))
            limit = noise * width
        else:
            joined[-1] = (joined[-1][0] if upper else noise, joined[-1][1] + count)
    return joined if math.isfinite(width) else members
