"""Inspection measures the weights in every form of storage, and names what is wrong with a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mindspore
import numpy as np
import onnx
import pytest
from mindspore import nn

from mindveil.runtime.card import PrivacyCard
from mindveil.tools import export, inspect
from mindveil.tools.card import CardError

SHAPE = (1, 40)
CARD = PrivacyCard("suppressed", sparsity=0.9, warnings=("one training, no claim",))


def network() -> Any:
    """Two dense layers; 90 % of the weights are zero, unit 3 of the first is dead."""
    rng = np.random.default_rng(0)
    made = nn.SequentialCell(nn.Dense(40, 30), nn.ReLU(), nn.Dense(30, 10))
    for layer in (made[0], made[2]):
        weight = rng.normal(size=layer.weight.shape).astype(np.float32)
        weight.reshape(-1)[rng.permutation(weight.size)[: weight.size * 9 // 10]] = 0
        layer.weight.set_data(mindspore.Tensor(weight))
    unread = made[2].weight.asnumpy().copy()
    unread[:, 3] = 0
    made[2].weight.set_data(mindspore.Tensor(unread))
    return made


@pytest.mark.parametrize("optimize", ["none", "size"])
def test_logical_weights_are_measured_however_they_are_stored(tmp_path: Path, optimize: Any) -> None:
    made = network()
    export(made, tmp_path / "m.onnx", inputs=SHAPE, optimize=optimize, card=CARD)
    found = inspect(tmp_path / "m.onnx")
    stored = np.concatenate([made[0].weight.asnumpy().reshape(-1), made[2].weight.asnumpy().reshape(-1)])
    assert [layer.name for layer in found.layers] == ["0.weight", "2.weight"]
    assert [layer.shape for layer in found.layers] == [(30, 40), (10, 30)]
    assert found.card == CARD
    if optimize == "none":
        assert found.sparsity == pytest.approx(np.mean(stored == 0))
        assert found.parameters == 30 * 40 + 30 + 10 * 30 + 10
    else:
        assert found.sparsity >= np.mean(stored == 0)
        assert found.layers[0].stored_shape[0] < 30
        assert found.parameters < 30 * 40 + 30 + 10 * 30 + 10


def test_interface_and_values_are_listed(tmp_path: Path) -> None:
    report = export(network(), tmp_path / "m.onnx", inputs=SHAPE, card=CARD)
    found = inspect(tmp_path / "m.onnx")
    assert [(value.dtype, value.shape) for value in found.inputs] == [("float32", ("batch", 40))]
    assert [(value.name, value.shape) for value in found.outputs] == [("logits", ("batch", 10))]
    assert found.values == report.values == ("0", "0_relu", "logits")
    assert found.bytes == (tmp_path / "m.onnx").stat().st_size
    assert found.producer == "mindveil 0.1.0"


def test_text_shows_card_sparsity_and_warnings(tmp_path: Path) -> None:
    export(network(), tmp_path / "m.onnx", inputs=SHAPE, card=CARD, optimize="size")
    text = str(inspect(tmp_path / "m.onnx"))
    for part in ("mode: suppressed (epsilon: none)", "warning: one training, no claim", "0.weight", "30x40", "logits"):
        assert part in text


def test_text_shows_epsilon(tmp_path: Path) -> None:
    card = PrivacyCard("private", 2.5, 1e-5, neighbouring="add_or_remove_one", noise_reproducible=True)
    export(network(), tmp_path / "m.onnx", inputs=SHAPE, card=card, optimize="none")
    text = str(inspect(tmp_path / "m.onnx"))
    for part in ("epsilon 2.5 at delta 1e-05", "neighbouring: add_or_remove_one", "the noise was reproducible"):
        assert part in text


def test_without_a_card_the_file_says_public(tmp_path: Path) -> None:
    export(network(), tmp_path / "m.onnx", inputs=SHAPE, optimize="none")
    assert inspect(tmp_path / "m.onnx").card == PrivacyCard("public")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.onnx does not exist"):
        inspect(tmp_path / "none.onnx")


@pytest.mark.parametrize("data", [b"", b"hello, this is no model at all", b"\x08\x07" + bytes(40)])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ValueError, match="is not an ONNX file"):
        inspect(tmp_path / "m.onnx")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    export(network(), tmp_path / "m.onnx", inputs=SHAPE, optimize="none")
    data = (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "m.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"is not an ONNX file|no privacy card"):
        inspect(tmp_path / "m.onnx")


def test_a_foreign_model_has_no_card(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", 1, [1])
    other = onnx.helper.make_tensor_value_info("y", 1, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [other])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "m.onnx")
    with pytest.raises(CardError, match="has no privacy card"):
        inspect(tmp_path / "m.onnx")


def test_a_card_whose_claim_was_raised_in_the_file_is_refused(tmp_path: Path) -> None:
    export(network(), tmp_path / "m.onnx", inputs=SHAPE, optimize="size", card=CARD)
    model = onnx.load(tmp_path / "m.onnx")
    for item in model.metadata_props:
        item.value = item.value.replace('"sparsity": 0.9,', '"sparsity": 0.99,')
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(CardError, match=r"the card says sparsity 0\.9900"):
        inspect(tmp_path / "m.onnx")
