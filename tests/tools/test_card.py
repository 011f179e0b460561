"""A card is written, read back, and believed only as far as the file supports it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import onnx
import pytest

from mindveil.runtime.card import PrivacyCard
from mindveil.tools.card import (
    CARD_KEY,
    DIGEST_KEY,
    TRACE_KEY,
    CardError,
    ExportTrace,
    LayerSparsity,
    check_card,
    masked_sparsity,
    metadata,
    read_card,
    read_trace,
    seal,
)

PRIVATE = PrivacyCard("private", epsilon=2.5, delta=1e-5, noise_multiplier=1.1, neighbouring="add_or_remove_one")
TRACE = ExportTrace("0.1.0", "both", ({"name": "fold"},), {"w": {"shape": [2, 3], "nonzeros": 4}}, {"1": 0.0}, {})


def model(card: PrivacyCard = PRIVATE, *, number: float = 1.0) -> onnx.ModelProto:
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Mul", ["x", "w"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", 1, ["batch", 3])],
        [onnx.helper.make_tensor_value_info("y", 1, ["batch", 3])],
        [onnx.helper.make_tensor("w", 1, [3], [number, 2.0, 3.0])],
    )
    made = onnx.helper.make_model(graph)
    for key, text in metadata(card, TRACE).items():
        made.metadata_props.add(key=key, value=text)
    seal(made)
    return made


def without(source: onnx.ModelProto, key: str, text: str | None = None) -> onnx.ModelProto:
    kept = [item for item in source.metadata_props if item.key != key]
    changed = onnx.ModelProto()
    changed.CopyFrom(source)
    del changed.metadata_props[:]
    for item in kept:
        changed.metadata_props.add(key=item.key, value=item.value)
    if text is not None:
        changed.metadata_props.add(key=key, value=text)
    return changed


@pytest.mark.parametrize(
    "card",
    [
        PRIVATE,
        PrivacyCard("public"),
        PrivacyCard("suppressed", sparsity=0.95),
        PrivacyCard("private", float("inf"), 1e-5),
    ],
)
def test_card_and_trace_come_back(card: PrivacyCard) -> None:
    again = onnx.load_model_from_string(model(card).SerializeToString())
    assert read_card(again) == card
    assert read_trace(again) == TRACE


def test_a_file_without_a_card_says_what_to_do() -> None:
    with pytest.raises(CardError, match=r"has no privacy card; export it with mindveil\.tools\.export"):
        read_card(without(model(), CARD_KEY))
    with pytest.raises(CardError, match="no record of its export"):
        read_trace(without(model(), TRACE_KEY))


@pytest.mark.parametrize(
    "text", ["", "{}", '{"mode": "secret"}', '{"mode": "private"}', "[1]", '{"mode":"public","x":1}']
)
def test_a_damaged_card_is_refused(text: str) -> None:
    with pytest.raises(CardError, match="the privacy card is damaged"):
        read_card(without(model(), CARD_KEY, text))


@pytest.mark.parametrize("text", ["", "{}", "[1]"])
def test_a_damaged_trace_is_refused(text: str) -> None:
    with pytest.raises(CardError, match="the record of the export is damaged"):
        read_trace(without(model(), TRACE_KEY, text))


def test_a_changed_weight_voids_the_card() -> None:
    changed = model()
    changed.graph.initializer[0].float_data[0] = 1.5
    with pytest.raises(CardError, match="changed after export"):
        read_card(changed)


def test_a_card_moved_to_another_graph_is_void() -> None:
    donor = {item.key: item.value for item in model(number=7.0).metadata_props}
    moved = model()
    for item in moved.metadata_props:
        item.value = donor[item.key]
    with pytest.raises(CardError, match="changed after export"):
        read_card(moved)


def test_a_missing_digest_voids_the_card() -> None:
    with pytest.raises(CardError, match="changed after export"):
        read_card(without(model(), DIGEST_KEY))


def layers(*counts: tuple[int, int]) -> tuple[LayerSparsity, ...]:
    return tuple(LayerSparsity(f"w{k}", (size,), (size,), nonzeros) for k, (size, nonzeros) in enumerate(counts))


def test_sparsity_is_measured_over_the_masked_weights() -> None:
    assert masked_sparsity(layers((100, 5), (300, 15), (50, 50))) == pytest.approx(0.95)
    assert masked_sparsity(layers((50, 50))) == 0
    assert layers((100, 5))[0].sparsity == pytest.approx(0.95)


def test_removed_units_count_as_zeros() -> None:
    assert LayerSparsity("w", (10, 10), (5, 4), 10).sparsity == pytest.approx(0.9)


@pytest.mark.parametrize("claim", [0.5, 0.9, 0.95, 0.954])
def test_a_claim_that_the_weights_support_passes(claim: float) -> None:
    card = PrivacyCard("suppressed", sparsity=claim)
    check_card(card, layers((100, 5), (50, 50)))
    with pytest.raises(CardError, match="but the masked weights have"):
        check_card(replace(card, sparsity=0.97), layers((100, 5), (50, 50)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mode": "suppressed", "sparsity": 0.96}, r"says sparsity 0\.9600, but the masked weights have 0\.9500"),
        ({"mode": "suppressed"}, "sparsity 0, which claims nothing"),
        ({"mode": "private", "epsilon": 1.0, "delta": 1e-5, "sparsity": 0.99}, "says sparsity 0.9900"),
        ({"mode": "private", "epsilon": 1.0, "delta": 1e-5, "noise_multiplier": 0}, "without noise it is infinite"),
    ],
)
def test_a_claim_that_the_file_contradicts_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CardError, match=message):
        check_card(PrivacyCard(**fields), layers((100, 5)))
