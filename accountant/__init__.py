"""What was released, and what it costs: events, their price, noise for a price, and the ledger of a run.

Reading order: what can be released; what it costs; what a price allows; what was spent; what to doubt. Names load the
module they live in when they are first used, so that importing this package costs next to nothing.
"""

# ruff: noqa: I001 - the imports are in reading order.
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mindveil.accountant.events import (
        Gaussian,
        PoissonSampled,
        SampledWithoutReplacement,
        Composed,
        Sequence,
        AdaptiveClipping,
        PerLayer,
        ClippedTogether,
        Laplace,
        PureLoss,
        ZeroConcentrated,
        NonPrivate,
        NoOp,
        Event,
    )
    from mindveil.accountant.batches import BallsInBins, ShuffledBatches
    from mindveil.accountant.correlated import BandedMatrix, MatrixMechanism, TreeAggregation
    from mindveil.accountant.schedules import decayed_noise, schedule
    from mindveil.accountant.serialise import event_from_json, event_to_json
    from mindveil.accountant.guarantees import delta, epsilon, epsilon_bounds, zcdp
    from mindveil.accountant.attack_bounds import PrivacyProfile, privacy_profile
    from mindveil.accountant.calibrate import (
        Calibration,
        calibrate_noise,
        noise_multiplier,
        sampling_rate_within,
        steps_within,
    )
    from mindveil.accountant.plan import BudgetCurve, BudgetRow, Choice, budget_curve, budget_table
    from mindveil.accountant.ledger import Ledger
    from mindveil.accountant.merging import spent_together
    from mindveil.accountant.filters import GaussianFilter, RenyiFilter, order_for
    from mindveil.accountant.declared import Declared, check_declared
    from mindveil.accountant.shuffling import ShufflingGap, shuffling_gap
    from mindveil.accountant.doubts import Advice, advice, warn
    from mindveil.accountant.errors import BudgetExceeded, LedgerError, MismatchError, PrivacyWarning

_HOMES = {
    "events": "Gaussian PoissonSampled SampledWithoutReplacement Composed Sequence AdaptiveClipping PerLayer "
    "ClippedTogether Laplace PureLoss ZeroConcentrated NonPrivate NoOp Event",
    "batches": "BallsInBins ShuffledBatches",
    "correlated": "BandedMatrix MatrixMechanism TreeAggregation",
    "schedules": "decayed_noise schedule",
    "serialise": "event_from_json event_to_json",
    "guarantees": "delta epsilon epsilon_bounds zcdp",
    "attack_bounds": "PrivacyProfile privacy_profile",
    "calibrate": "Calibration calibrate_noise noise_multiplier sampling_rate_within steps_within",
    "plan": "BudgetCurve BudgetRow Choice budget_curve budget_table",
    "ledger": "Ledger",
    "merging": "spent_together",
    "filters": "GaussianFilter RenyiFilter order_for",
    "declared": "Declared check_declared",
    "shuffling": "ShufflingGap shuffling_gap",
    "doubts": "Advice advice warn",
    "errors": "BudgetExceeded LedgerError MismatchError PrivacyWarning",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "AdaptiveClipping",
    "Advice",
    "BallsInBins",
    "BandedMatrix",
    "BudgetCurve",
    "BudgetExceeded",
    "BudgetRow",
    "Calibration",
    "Choice",
    "ClippedTogether",
    "Composed",
    "Declared",
    "Event",
    "Gaussian",
    "GaussianFilter",
    "Laplace",
    "Ledger",
    "LedgerError",
    "MatrixMechanism",
    "MismatchError",
    "NoOp",
    "NonPrivate",
    "PerLayer",
    "PoissonSampled",
    "PrivacyProfile",
    "PrivacyWarning",
    "PureLoss",
    "RenyiFilter",
    "SampledWithoutReplacement",
    "Sequence",
    "ShuffledBatches",
    "ShufflingGap",
    "TreeAggregation",
    "ZeroConcentrated",
    "advice",
    "budget_curve",
    "budget_table",
    "calibrate_noise",
    "check_declared",
    "decayed_noise",
    "delta",
    "epsilon",
    "epsilon_bounds",
    "event_from_json",
    "event_to_json",
    "noise_multiplier",
    "order_for",
    "privacy_profile",
    "sampling_rate_within",
    "schedule",
    "shuffling_gap",
    "spent_together",
    "steps_within",
    "warn",
    "zcdp",
]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
