"""Events whose noise is correlated over the steps, so that they are accounted for as one release."""

from dataclasses import dataclass

from mindveil.accountant.checks import between, count, positive

__all__ = ["BandedMatrix", "MatrixMechanism", "TreeAggregation"]


@dataclass(frozen=True, slots=True)
class TreeAggregation:
    """Running sums of ``leaves`` steps by a binary tree, restarted every epoch; a record is in one leaf of each tree.

    The cost is that of a Gaussian released once for each level of the tree.

    Source: Kairouz, McMahan, Song, Thakkar, Thakurta and Xu 2021, appendix D (arXiv 2103.00039).
    """

    leaves: int
    noise_multiplier: float
    epochs: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "leaves", count("leaves", self.leaves, 1))
        object.__setattr__(self, "noise_multiplier", positive("noise_multiplier", self.noise_multiplier))
        object.__setattr__(self, "epochs", count("epochs", self.epochs))

    @property
    def depth(self) -> int:
        """Levels that hold a record: ceil(log2(leaves + 1)), in integers because floats miss it at 2**53."""
        return self.leaves.bit_length()


@dataclass(frozen=True, slots=True)
class BandedMatrix:
    """``steps`` of banded matrix-factorisation noise, batches drawn by cyclic Poisson sampling from ``bands`` groups.

    Args:
        noise_multiplier: noise over clip norm, for a strategy matrix whose columns have norm 1.
        bands: bands of the strategy matrix, and fixed groups that the data is split into.
        group_rate: probability with which a record of the group whose turn it is enters the batch; ``bands`` times the
            rate that the same batch size has in the whole data set.
        steps: updates.

    Source: Choquette-Choo et al. 2023, theorem 4 (arXiv 2306.08153).
    """

    noise_multiplier: float
    bands: int
    group_rate: float
    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise_multiplier", positive("noise_multiplier", self.noise_multiplier))
        object.__setattr__(self, "bands", count("bands", self.bands, 1))
        object.__setattr__(self, "group_rate", between("group_rate", self.group_rate, 0, 1))
        object.__setattr__(self, "steps", count("steps", self.steps))

    @property
    def rounds(self) -> int:
        """Times that one record's group has its turn: ceil(steps / bands)."""
        return -(-self.steps // self.bands)


@dataclass(frozen=True, slots=True)
class MatrixMechanism:
    """Any matrix-factorisation noise, with a record in at most ``participations`` steps chosen without sampling.

    The cost is a Gaussian of sensitivity ``participations * max_column_norm``, which holds for every pattern of
    participation by the triangle inequality; a strategy's own analysis may give less.

    Source: Choquette-Choo, McMahan, Rush and Thakurta 2022 (arXiv 2211.06530).
    """

    noise_multiplier: float
    participations: int
    max_column_norm: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise_multiplier", positive("noise_multiplier", self.noise_multiplier))
        object.__setattr__(self, "participations", count("participations", self.participations))
        object.__setattr__(self, "max_column_norm", positive("max_column_norm", self.max_column_norm))
