"""The privacy card: what was done to a model, as a frozen value that travels with the exported file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

__all__ = ["MODES", "Mode", "PrivacyCard"]

Mode = Literal["public", "suppressed", "private"]
MODES: tuple[str, ...] = get_args(Mode)


@dataclass(frozen=True, slots=True)
class PrivacyCard:
    """What a training run did for privacy, and what it did not.

    ``public`` claims nothing, ``suppressed`` says sparsity only (epsilon is None), ``private`` states
    (epsilon, delta) for the named neighbouring relation and sampling assumption.

    Attributes:
        mode: one of ``MODES``.
        epsilon: nats, at ``delta``; None where no claim is made, infinite where noise was switched off.
        neighbouring: ``add_or_remove_one`` or ``replace_one``.
        sampling: the sampling assumption of the accounting, in words, for instance ``Poisson, rate 0.128``.
        event: the released event, as the accountant writes it in a ledger.
        sparsity: share of zero weights among the masked parameters, at the end of training.
        masked: names of the parameters in which weights were set to zero; in a private run they were chosen from the
            noisy weights alone, so that the masks cost nothing.
        passes: the names of the graph passes that rewrote the training step, in order.
        noise_reproducible: a noise seed was given, so that the noise could be subtracted: for tests only.
        noise_generator: ``kernel``: keyed by the operating system, on a safe grid; ``device``: the device's own.
        workers: processes that trained together.
    """

    mode: Mode
    epsilon: float | None = None
    delta: float | None = None
    neighbouring: str | None = None
    sampling: str | None = None
    event: dict[str, Any] | None = None
    clip_norm: float | None = None
    noise_multiplier: float | None = None
    sampling_rate: float | None = None
    dataset_size: int | None = None
    steps: int = 0
    sparsity: float = 0.0
    masked: tuple[str, ...] = ()
    passes: tuple[str, ...] = ()
    ledger_head: str | None = None
    noise_reproducible: bool = False
    noise_generator: str | None = None
    workers: int = 1
    warnings: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}, and must be one of {', '.join(MODES)}")
        if self.mode == "private" and (self.epsilon is None or self.delta is None):
            raise ValueError("a private card needs epsilon and delta; read them off the ledger")
        if self.mode != "private" and self.epsilon is not None:
            raise ValueError(f"a {self.mode} card makes no epsilon claim, but epsilon is {self.epsilon}")
        if not 0 <= self.sparsity <= 1:
            raise ValueError(f"sparsity is {self.sparsity}, and must be in [0, 1]")

    def to_json(self) -> str:
        """The card as one line of JSON; an infinite epsilon is the string ``"inf"``."""
        fields = asdict(self)
        if self.epsilon == float("inf"):
            fields["epsilon"] = "inf"
        return json.dumps(fields, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> PrivacyCard:
        """The inverse of `to_json`.

        Raises:
            ValueError: the text is not a privacy card.
        """
        try:
            fields = json.loads(text)
            if fields.get("epsilon") == "inf":
                fields["epsilon"] = float("inf")
            for name in ("passes", "warnings", "masked"):
                fields[name] = tuple(fields.get(name, ()))
            return cls(**fields)
        except (TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a privacy card: {error}; got {text[:80]!r}") from error
