"""What was released, and what it costs: events, their price, noise for a price, and the ledger of a run."""

from mindveil.accountant.batches import BallsInBins, ShuffledBatches
from mindveil.accountant.calibrate import (
    Calibration,
    calibrate_noise,
    noise_multiplier,
    sampling_rate_within,
    steps_within,
)
from mindveil.accountant.correlated import BandedMatrix, MatrixMechanism, TreeAggregation
from mindveil.accountant.errors import BudgetExceeded, LedgerError, MismatchError, PrivacyWarning
from mindveil.accountant.events import (
    AdaptiveClipping,
    ClippedTogether,
    Composed,
    Event,
    Gaussian,
    Laplace,
    NonPrivate,
    NoOp,
    PerLayer,
    PoissonSampled,
    PureLoss,
    SampledWithoutReplacement,
    Sequence,
    ZeroConcentrated,
)
from mindveil.accountant.guarantees import delta, epsilon, epsilon_bounds
from mindveil.accountant.ledger import Ledger
from mindveil.accountant.serialise import event_from_json, event_to_json

__all__ = [
    "AdaptiveClipping",
    "BallsInBins",
    "BandedMatrix",
    "BudgetExceeded",
    "Calibration",
    "ClippedTogether",
    "Composed",
    "Event",
    "Gaussian",
    "Laplace",
    "Ledger",
    "LedgerError",
    "MatrixMechanism",
    "MismatchError",
    "NoOp",
    "NonPrivate",
    "PerLayer",
    "PoissonSampled",
    "PrivacyWarning",
    "PureLoss",
    "SampledWithoutReplacement",
    "Sequence",
    "ShuffledBatches",
    "TreeAggregation",
    "ZeroConcentrated",
    "calibrate_noise",
    "delta",
    "epsilon",
    "epsilon_bounds",
    "event_from_json",
    "event_to_json",
    "noise_multiplier",
    "sampling_rate_within",
    "steps_within",
]
