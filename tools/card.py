"""The privacy card inside an ONNX file: written at export, read back with a check that the file deserves it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from mindveil.runtime.card import PrivacyCard

__all__ = [
    "CARD_KEY",
    "DIGEST_KEY",
    "TRACE_KEY",
    "CardError",
    "ExportTrace",
    "LayerSparsity",
    "check_card",
    "masked_sparsity",
    "metadata",
    "read_card",
    "read_trace",
    "seal",
]

CARD_KEY = "mindveil.privacy_card"
TRACE_KEY = "mindveil.export"
DIGEST_KEY = "mindveil.graph_sha256"
SPARSITY_TOLERANCE = 0.005
"""How far the measured sparsity may fall short of the card's: cards round, and masks keep whole numbers of weights."""


class CardError(ValueError):
    """A file has no privacy card, or one that its content contradicts."""


@dataclass(frozen=True, slots=True)
class LayerSparsity:
    """One weight of the trained network as it is in the file.

    Attributes:
        shape: the shape it was trained with.
        stored_shape: the shape after dead units were removed.
        nonzeros: non-zero numbers left; the sparsity is measured against the trained shape.
    """

    name: str
    shape: tuple[int, ...]
    stored_shape: tuple[int, ...]
    nonzeros: int

    @property
    def size(self) -> int:
        """How many numbers the weight was trained with."""
        total = 1
        for length in self.shape:
            total *= length
        return total

    @property
    def sparsity(self) -> float:
        """Share of the trained weight that is zero or removed."""
        return 1 - self.nonzeros / self.size if self.size else 0.0


@dataclass(frozen=True, slots=True)
class ExportTrace:
    """How a file came to be.

    Attributes:
        passes: one object for each rewrite, as in the export report.
        weights: shape and non-zeros of each trained weight of two or more dimensions, before any rewrite.
        verified: largest difference from MindSpore at each batch size.
    """

    version: str
    optimize: str
    passes: tuple[dict[str, Any], ...]
    weights: dict[str, dict[str, Any]]
    verified: dict[str, float]
    versions: dict[str, str]

    def to_json(self) -> str:
        """One line of JSON."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(fields, sort_keys=True, allow_nan=False)


def metadata(card: PrivacyCard, trace: ExportTrace) -> dict[str, str]:
    """The entries for a model's ``metadata_props``."""
    return {CARD_KEY: card.to_json(), TRACE_KEY: trace.to_json()}


def seal(model: onnx.ModelProto) -> None:
    """Adds the digest of the graph, so that a card does not stay behind on a graph that was changed.

    The digest is no signature: it finds accidents and stale cards, not forgers.
    """
    model.metadata_props.add(key=DIGEST_KEY, value=_digest(model))


def read_card(model: onnx.ModelProto) -> PrivacyCard:
    """The card of a file whose graph is the one that was exported.

    Raises:
        CardError: there is no card, it is not readable, or the graph was changed after export.
    """
    properties = _properties(model)
    if CARD_KEY not in properties:
        raise CardError("the file has no privacy card; export it with mindveil.tools.export to give it one")
    try:
        card = PrivacyCard.from_json(properties[CARD_KEY])
    except ValueError as error:
        raise CardError(f"the privacy card is damaged: {error}") from error
    if properties.get(DIGEST_KEY) != _digest(model):
        raise CardError(
            "the graph or its weights were changed after export, so the privacy card no longer speaks for this file; "
            "export the network again"
        )
    return card


def read_trace(model: onnx.ModelProto) -> ExportTrace:
    """How the file was made.

    Raises:
        CardError: the file was not made by mindveil, or the entry is damaged.
    """
    text = _properties(model).get(TRACE_KEY)
    if text is None:
        raise CardError("the file has no record of its export; export it with mindveil.tools.export")
    try:
        fields = json.loads(text)
        return ExportTrace(**{**fields, "passes": tuple(fields["passes"])})
    except (TypeError, KeyError, json.JSONDecodeError) as error:
        raise CardError(f"the record of the export is damaged: {error}") from error


def check_card(card: PrivacyCard, layers: Sequence[LayerSparsity]) -> None:
    """Compares what a card claims with the weights.

    Raises:
        CardError: the weights are less sparse than the card says, or a private card claims what no noise can give.
    """
    if card.mode == "suppressed" and card.sparsity <= 0:
        raise CardError("the card says suppressed with sparsity 0, which claims nothing; use a public card")
    measured = masked_sparsity(layers)
    if card.sparsity > 0 and measured < card.sparsity - SPARSITY_TOLERANCE:
        raise CardError(
            f"the card says sparsity {card.sparsity:.4f}, but the masked weights have {measured:.4f}; "
            "take the card of the step that trained this very network, after its last step"
        )
    if card.mode == "private" and card.noise_multiplier == 0 and card.epsilon != float("inf"):
        raise CardError(f"the card says epsilon {card.epsilon} with noise multiplier 0; without noise it is infinite")


def masked_sparsity(layers: Sequence[LayerSparsity]) -> float:
    """Share of zeros among the weights that have any; training without masks leaves no weight at exactly zero."""
    masked = [layer for layer in layers if layer.nonzeros < layer.size]
    size = sum(layer.size for layer in masked)
    return 1 - sum(layer.nonzeros for layer in masked) / size if size else 0.0


def _properties(model: onnx.ModelProto) -> Mapping[str, str]:
    return {item.key: item.value for item in model.metadata_props}


def _digest(model: onnx.ModelProto) -> str:
    return hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()
