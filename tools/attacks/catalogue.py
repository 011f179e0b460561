"""The table of attacks: those that run here, and those that a reader might believe were run and were not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["CATALOGUE", "QUESTIONS", "AttackEntry", "Question", "entry", "not_tested"]

Question = Literal["inference", "training data", "training process"]
QUESTIONS: tuple[str, ...] = get_args(Question)


@dataclass(frozen=True, slots=True)
class AttackEntry:
    """One attack as the report names it.

    Attributes:
        name: as in results.
        title: for readers.
        question: which leak it measures: of an input at inference, of a training record, of the training process.
        access: what the attacker sees and may do.
        knowledge: what the attacker has beside that.
        available: whether it can be run from here.
    """

    name: str
    title: str
    question: Question
    access: str
    knowledge: str
    available: bool = False


CATALOGUE: tuple[AttackEntry, ...] = (
    AttackEntry(
        "seed",
        "Signed gradient descent on pixels",
        "inference",
        "features of the record at one value; the whole model file, with gradients",
        "none",
        available=True,
    ),
    AttackEntry(
        "ridge",
        "Linear inverse (ridge regression)",
        "inference",
        "features of the record at one value; forward queries, no gradients",
        "public images of the same kind",
        available=True,
    ),
    AttackEntry(
        "latent",
        "Gradient descent in the principal subspace",
        "inference",
        "features of the record at one value; the whole model file, with gradients",
        "public images of the same kind",
        available=True,
    ),
    AttackEntry(
        "decoder",
        "Trained decoder network",
        "inference",
        "features of the record at one value; forward queries",
        "public images, and the time to train a decoder",
    ),
    AttackEntry(
        "generative-prior",
        "Inversion with a generative model as prior",
        "inference",
        "features of the record at one value; the whole model file, with gradients",
        "a large generative model of the same kind of images",
    ),
    AttackEntry(
        "class-inversion",
        "Reconstruction of a class representative from logits",
        "inference",
        "the whole model file; no record's features",
        "optionally public images",
    ),
    AttackEntry(
        "membership-threshold",
        "Membership inference by loss or entropy threshold",
        "training data",
        "outputs of the model on a record and its label",
        "none",
    ),
    AttackEntry(
        "membership-reference",
        "Membership inference with reference models (LiRA, RMIA)",
        "training data",
        "outputs of the model on a record and its label",
        "the training recipe, and data to train reference models",
    ),
    AttackEntry(
        "canary-audit",
        "Audit of the accounted epsilon with planted records",
        "training data",
        "control over some training records",
        "the training recipe",
    ),
    AttackEntry(
        "gradient-inversion",
        "Reconstruction of training records from shared gradients",
        "training process",
        "gradients of single training steps",
        "the model at that step",
    ),
)


def entry(name: str) -> AttackEntry:
    """The entry with this name.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    for item in CATALOGUE:
        if item.name == name:
            return item
    raise ValueError(f"there is no attack {name!r}; attacks: {', '.join(item.name for item in CATALOGUE)}")


def not_tested(ran: Collection[str]) -> tuple[AttackEntry, ...]:
    """All entries that did not run, in the table's order."""
    for name in ran:
        entry(name)
    return tuple(item for item in CATALOGUE if item.name not in ran)
