"""The errors and warnings that the accountant raises on purpose."""

__all__ = ["BudgetExceeded", "LedgerError", "MismatchError", "PrivacyWarning"]


class BudgetExceeded(RuntimeError):  # noqa: N818 - the name is a contract with training code
    """The next event would spend more than the declared target, so it must not run."""


class LedgerError(ValueError):
    """A ledger file is damaged, edited, shortened, or belongs to another run."""


class MismatchError(ValueError):
    """What was declared differs from what ran."""


class PrivacyWarning(UserWarning):
    """A guarantee that is correct on paper and means less than it seems."""
