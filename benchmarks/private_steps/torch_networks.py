"""The four networks for PyTorch, of layers that every peer knows how to differentiate one example at a time."""

from __future__ import annotations

import torch
from sizes import BLOCKS, CLASSES, GROUPS, HEADS, HIDDEN, LENGTH, STAGES, VOCABULARY, WIDTH
from torch import nn


def network(name: str) -> nn.Module:
    """A freshly made network."""
    return {"LeNet5": lenet5, "MLP": mlp, "ResNet-20": ResNet20, "transformer": Transformer}[name]()


def lenet5() -> nn.Module:
    """As in `mindveil.runtime.networks`: convolutions without bias."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, bias=False), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, bias=False), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, CLASSES),
    )  # fmt: skip


def mlp() -> nn.Module:
    """784-1024-1024-10 with ReLU."""
    wide = 1024
    return nn.Sequential(nn.Linear(784, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, CLASSES))


def convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
    """Without bias; padded so that a stride of 1 keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class Block(nn.Module):
    """Two convolutions with GroupNorm, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, outputs, 3, stride)
        self.norm1 = nn.GroupNorm(GROUPS, outputs)
        self.conv2 = convolution(outputs, outputs, 3, 1)
        self.norm2 = nn.GroupNorm(GROUPS, outputs)
        self.same = stride == 1 and inputs == outputs
        self.shortcut = nn.Sequential()
        if not self.same:
            self.shortcut = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.GroupNorm(GROUPS, outputs))

    def forward(self, x):
        y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return torch.relu(y + (x if self.same else self.shortcut(x)))


class ResNet20(nn.Module):
    """He et al. 2016 for 32 x 32 pixels, with GroupNorm."""

    def __init__(self) -> None:
        super().__init__()
        blocks, inputs = [], STAGES[0][0]
        for outputs, stride in STAGES:
            for k in range(3):
                blocks.append(Block(inputs, outputs, stride if k == 0 else 1))
                inputs = outputs
        self.first = nn.Sequential(convolution(3, STAGES[0][0], 3, 1), nn.GroupNorm(GROUPS, STAGES[0][0]))
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Linear(inputs, CLASSES)

    def forward(self, x):
        return self.last(self.blocks(torch.relu(self.first(x))).mean((2, 3)))


class Encoder(nn.Module):
    """One block with normalisation first."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(torch.relu(self.up(self.norm2(x))))

    def attention(self, x):
        shape = (-1, LENGTH, HEADS, WIDTH // HEADS)
        q, k, v = (layer(x).reshape(shape).transpose(1, 2) for layer in (self.query, self.key, self.value))
        scores = q @ k.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5
        mixed = torch.softmax(scores, -1) @ v
        return self.out(mixed.transpose(1, 2).reshape(-1, LENGTH, WIDTH))


class Transformer(nn.Module):
    """Two blocks over 32 tokens, their mean classified."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.Sequential(*[Encoder() for _ in range(BLOCKS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.last = nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens):
        return self.last(self.norm(self.blocks(self.embedding(tokens))).mean(1))
