"""What was released, and what it costs: events, their price, noise for a price, and the ledger of a run."""

# ruff: noqa: I001 - in reading order: what can be released; what it costs; what a price allows; what was spent; doubts.
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
