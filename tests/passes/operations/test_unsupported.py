"""What MindSpore itself cannot train on the CPU, with its error; docs/operations.md lists the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mindspore import Tensor, mint, nn, ops

from mindveil.passes.operations import OPERATIONS
from mindveil.runtime.step import PrivateStep

from .brute_force import Array, cube
from .dense_cases import Lambda, rows
from .normalisation_cases import ids

DOCUMENT = Path(__file__).parents[3] / "docs" / "operations.md"


def _softplus(self: Any, x: Tensor) -> Any:
    return mint.nn.functional.softplus(self.a(x))


def _mse(self: Any, x: Tensor) -> Any:
    return mint.nn.functional.mse_loss(self.a(x), x, reduction="none")


def _l1(self: Any, x: Tensor) -> Any:
    return mint.nn.functional.l1_loss(self.a(x), x, reduction="none")


def _roll(self: Any, x: Tensor) -> Any:
    return ops.roll(self.a(x), 1, 1)


def _einsum(self: Any, x: Tensor) -> Any:
    return ops.einsum("bi,bj->bij", self.a(x), x)


def _after_dense(function: Callable[..., Any]) -> Callable[[], nn.Cell]:
    return lambda: Lambda(function, {"a": nn.Dense(4, 4)})


def _after(layer: Callable[[], nn.Cell]) -> Callable[[], nn.Cell]:
    return lambda: nn.SequentialCell(nn.Dense(4, 4), layer())


PICTURE, LINE = rows(2, 4, 6, 4), rows(2, 4, 4)
UNSUPPORTED: dict[str, tuple[Callable[[], nn.Cell], Array, str]] = {
    "nn.InstanceNorm1d": (lambda: nn.InstanceNorm1d(4), LINE, "InstanceNorm"),
    "nn.InstanceNorm2d": (lambda: nn.InstanceNorm2d(4), PICTURE, "InstanceNorm"),
    "nn.InstanceNorm3d": (lambda: nn.InstanceNorm3d(4), rows(2, 4, 3, 3, 4), "InstanceNorm"),
    "mint.nn.Conv1d": (lambda: mint.nn.Conv1d(4, 3, 3), LINE, "Conv1DExt"),
    "mint.nn.Conv2d": (lambda: mint.nn.Conv2d(4, 3, 3), PICTURE, "Conv2DExt"),
    "mint.nn.Conv3d": (lambda: mint.nn.Conv3d(4, 3, 3), rows(2, 4, 3, 3, 4), "Conv3DExt"),
    "mint.nn.ConvTranspose2d": (lambda: mint.nn.ConvTranspose2d(4, 3, 3), PICTURE, "ConvTranspose2D"),
    "mint.nn.LayerNorm": (lambda: mint.nn.LayerNorm((4,)), LINE, "LayerNormExt"),
    "mint.nn.BatchNorm2d": (lambda: mint.nn.BatchNorm2d(4), PICTURE, "BatchNormExt"),
    "mint.nn.Embedding": (lambda: mint.nn.Embedding(7, 4), ids(2, 3), "EmbeddingDenseBackward"),
    "mint.nn.MaxPool2d": (_after(lambda: mint.nn.MaxPool2d(2)), PICTURE, "MaxPoolWithMask"),
    "mint.nn.AvgPool2d": (_after(lambda: mint.nn.AvgPool2d(2)), PICTURE, "AvgPool2D"),
    "mint.nn.AdaptiveAvgPool2d": (_after(lambda: mint.nn.AdaptiveAvgPool2d(2)), PICTURE, "AdaptiveAvgPool2DExt"),
    "mint.nn.GELU": (_after(mint.nn.GELU), LINE, "GeluExt"),
    "mint.nn.ELU": (_after(mint.nn.ELU), LINE, "EluExt"),
    "mint.nn.Mish": (_after(mint.nn.Mish), LINE, "MishExt"),
    "mint.nn.Dropout": (_after(lambda: mint.nn.Dropout(0.5)), LINE, "DropoutExt"),
    "mint.nn.functional.softplus": (_after_dense(_softplus), rows(2, 4), "SoftplusGradExt"),
    "mint.nn.functional.mse_loss": (_after_dense(_mse), rows(2, 4), "MSELossExt"),
    "mint.nn.functional.l1_loss": (_after_dense(_l1), rows(2, 4), "L1LossExt"),
    "ops.roll": (_after_dense(_roll), rows(2, 4), "Roll"),
    "ops.einsum": (_after_dense(_einsum), rows(2, 4), "Einsum"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_an_ordinary_step_fails_in_mindspore_itself(name: str) -> None:
    build, x, operation = UNSUPPORTED[name]
    network = build()
    step = PrivateStep(network, cube, nn.SGD(network.trainable_params(), 0.1))
    with pytest.raises(RuntimeError, match=rf"Unsupported op \[{operation}\]"):
        step(x, rows(2, 1))


def test_the_document_lists_what_cannot_run_with_its_error() -> None:
    text = DOCUMENT.read_text()
    missing = [
        name for name, (_, _, op) in UNSUPPORTED.items() if f"| `{name}` | `Unsupported op [{op}] on CPU` |" not in text
    ]
    assert missing == []


def test_the_document_names_every_operation_of_the_table_and_no_other() -> None:
    part = DOCUMENT.read_text().split("## The table")[1].split("\n## ")[0]
    named = {word for line in part.splitlines() if line.startswith("- ") for word in line[2:].replace("`", "").split()}
    assert named == set(OPERATIONS)
