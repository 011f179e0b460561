"""The four networks for MindSpore."""

from __future__ import annotations

from mindspore import nn, ops
from sizes import BLOCKS, CLASSES, GROUPS, HEADS, HIDDEN, LENGTH, STAGES, VOCABULARY, WIDTH

from mindveil.runtime.networks import LeNet5


def network(name: str) -> nn.Cell:
    """A freshly made network."""
    return {"LeNet5": LeNet5, "MLP": mlp, "ResNet-20": ResNet20, "transformer": Transformer}[name]()


def mlp() -> nn.Cell:
    """784-1024-1024-10 with ReLU."""
    wide = 1024
    return nn.SequentialCell(nn.Dense(784, wide), nn.ReLU(), nn.Dense(wide, wide), nn.ReLU(), nn.Dense(wide, CLASSES))


def convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Cell:
    """Without bias; padded so that a stride of 1 keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, stride, pad_mode="pad", padding=kernel // 2, has_bias=False)


class Block(nn.Cell):
    """Two convolutions with GroupNorm, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, outputs, 3, stride)
        self.norm1 = nn.GroupNorm(GROUPS, outputs)
        self.conv2 = convolution(outputs, outputs, 3, 1)
        self.norm2 = nn.GroupNorm(GROUPS, outputs)
        self.shortcut = nn.SequentialCell()
        self.same = stride == 1 and inputs == outputs
        if not self.same:
            self.shortcut = nn.SequentialCell(convolution(inputs, outputs, 1, stride), nn.GroupNorm(GROUPS, outputs))
        self.relu = nn.ReLU()

    def construct(self, x):
        """``(B, inputs, H, W)`` to ``(B, outputs, H / stride, W / stride)``."""
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return self.relu(y + (x if self.same else self.shortcut(x)))


class ResNet20(nn.Cell):
    """He et al. 2016 for 32 x 32 pixels, with GroupNorm."""

    def __init__(self) -> None:
        super().__init__()
        blocks, inputs = [], STAGES[0][0]
        for outputs, stride in STAGES:
            for k in range(3):
                blocks.append(Block(inputs, outputs, stride if k == 0 else 1))
                inputs = outputs
        self.first = nn.SequentialCell(convolution(3, STAGES[0][0], 3, 1), nn.GroupNorm(GROUPS, STAGES[0][0]))
        self.relu = nn.ReLU()
        self.blocks = nn.SequentialCell(*blocks)
        self.last = nn.Dense(inputs, CLASSES)

    def construct(self, x):
        """Logits of images ``(B, 3, 32, 32)``."""
        x = self.blocks(self.relu(self.first(x)))
        return self.last(x.mean((2, 3)))


class Attention(nn.Cell):
    """Multi-head self-attention."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Dense(WIDTH, WIDTH) for _ in range(4))

    def construct(self, x):
        """``(B, T, C)`` to the same."""
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = ops.matmul(q, k.transpose(0, 1, 3, 2)) * (WIDTH // HEADS) ** -0.5
        mixed = ops.matmul(ops.softmax(scores, -1), v)
        return self.out(mixed.transpose(0, 2, 1, 3).reshape(-1, LENGTH, WIDTH))

    def split(self, x):
        """A head at a time: ``(B, heads, T, C / heads)``."""
        return x.reshape(-1, LENGTH, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)


class Encoder(nn.Cell):
    """One block with normalisation first."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm((WIDTH,)), nn.LayerNorm((WIDTH,))
        self.attention = Attention()
        self.up, self.down = nn.Dense(WIDTH, HIDDEN), nn.Dense(HIDDEN, WIDTH)
        self.relu = nn.ReLU()

    def construct(self, x):
        """``(B, T, C)`` to the same."""
        x = x + self.attention(self.norm1(x))
        return x + self.down(self.relu(self.up(self.norm2(x))))


class Transformer(nn.Cell):
    """Two blocks over 32 tokens, their mean classified."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.SequentialCell(*[Encoder() for _ in range(BLOCKS)])
        self.norm = nn.LayerNorm((WIDTH,))
        self.last = nn.Dense(WIDTH, CLASSES)

    def construct(self, tokens):
        """Logits of tokens ``(B, T)``."""
        return self.last(self.norm(self.blocks(self.embedding(tokens))).mean(1))
