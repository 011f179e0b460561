"""What both frameworks agree on: the shapes of the networks and their inputs."""

from __future__ import annotations

from dataclasses import dataclass

CLASSES = 10
VOCABULARY, LENGTH, WIDTH, HEADS, HIDDEN, BLOCKS = 1000, 32, 64, 4, 256, 2
STAGES = ((16, 1), (32, 2), (64, 2))
GROUPS = 8
CLIP_NORM, NOISE_MULTIPLIER, LEARNING_RATE, MOMENTUM = 1.0, 1.0, 0.01, 0.9


@dataclass(frozen=True)
class Input:
    """The shape of one example; ``tokens`` are whole numbers below the vocabulary."""

    shape: tuple[int, ...]
    tokens: bool = False


INPUTS = {
    "LeNet5": Input((1, 32, 32)),
    "MLP": Input((784,)),
    "ResNet-20": Input((3, 32, 32)),
    "transformer": Input((LENGTH,), tokens=True),
}
