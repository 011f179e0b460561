"""What several runs on the same data have spent together."""

from collections.abc import Iterable

from mindveil.accountant.errors import LedgerError
from mindveil.accountant.events import Sequence
from mindveil.accountant.ledger import Ledger

__all__ = ["spent_together"]


def spent_together(ledgers: Iterable[Ledger]) -> Sequence:
    """The event of all that different runs have spent on one data set, whatever the order they ran in.

    Raises:
        LedgerError: different data, different neighbouring relations, or one run twice.
    """
    held = list(ledgers)
    for ledger in held[1:]:
        for name in ("dataset_id", "dataset_size", "neighbouring"):
            mine, theirs = getattr(held[0], name), getattr(ledger, name)
            if mine != theirs:
                raise LedgerError(
                    f"{name} is {mine!r} in {held[0].path} and {theirs!r} in {ledger.path}: "
                    "only runs on the same data under the same relation add up"
                )
    runs = [ledger.run for ledger in held]
    if len(set(runs)) < len(runs):
        raise LedgerError("one run is given twice, and would be counted twice; a copy of a ledger is not another run")
    return Sequence([event for ledger in held for event in ledger.spent.events])
