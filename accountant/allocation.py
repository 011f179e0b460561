"""The cumulant of an epoch in which each record falls into one batch at random."""

__all__ = ["allocated_cumulant"]


def allocated_cumulant(noise: float, batches: int, order: float) -> float:
    """Without amplification, for the moment."""
    return order * (order - 1) / 2 / noise**2
