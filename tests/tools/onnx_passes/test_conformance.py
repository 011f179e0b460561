"""What every pass promises, checked for every pass on every model."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mindveil.tools.onnx_passes.batch_norm import fold_batch_norm
from mindveil.tools.onnx_passes.check import check_model, same_numbers
from mindveil.tools.onnx_passes.compact import compact_sparse_weights
from mindveil.tools.onnx_passes.constants import drop_unused, fold_constants
from mindveil.tools.onnx_passes.dead_units import remove_dead_units
from mindveil.tools.onnx_passes.graph import Graph
from mindveil.tools.onnx_passes.polyphase import pool_by_phases, poolable
from mindveil.tools.onnx_passes.protobuf import from_model, to_model
from mindveil.tools.onnx_passes.shapes import with_shapes

from .models import lenet, masked_mlp, residual

PASSES: dict[str, Callable[[Graph], Graph]] = {
    "fold_constants": fold_constants,
    "drop_unused": drop_unused,
    "fold_batch_norm": fold_batch_norm,
    "remove_dead_units": remove_dead_units,
    "remove_dead_units_4": lambda graph: remove_dead_units(graph, multiple=4),
    "pool_by_phases": lambda graph: pool_by_phases(graph, poolable(graph)),
    "compact_sparse_weights": compact_sparse_weights,
}
MODELS: dict[str, Callable[[], Graph]] = {
    "lenet": lenet,
    "masked_mlp": masked_mlp,
    "residual_alive": lambda: residual((), ()),
    "residual_one_dead": lambda: residual((1,), (2,)),
    "residual_both_dead": lambda: residual((1, 4), (1, 4)),
}

every_pass = pytest.mark.parametrize("rewrite", [pytest.param(item, id=name) for name, item in PASSES.items()])
every_model = pytest.mark.parametrize("make", [pytest.param(item, id=name) for name, item in MODELS.items()])


@every_pass
@every_model
def test_pass_keeps_the_function_and_its_input(rewrite: Callable[[Graph], Graph], make: Callable[[], Graph]) -> None:
    before = make()
    bytes_before = to_model(before).SerializeToString(deterministic=True)
    after = rewrite(before)
    check_model(after)
    assert same_numbers(before, after) < 1e-6
    assert to_model(before).SerializeToString(deterministic=True) == bytes_before
    assert (after.inputs, after.outputs, after.opset) == (before.inputs, before.outputs, before.opset)


@every_pass
@every_model
def test_pass_is_deterministic_and_done_after_one_run(
    rewrite: Callable[[Graph], Graph], make: Callable[[], Graph]
) -> None:
    once, again = rewrite(make()), rewrite(make())
    data = to_model(once).SerializeToString(deterministic=True)
    assert to_model(again).SerializeToString(deterministic=True) == data
    assert to_model(rewrite(once)).SerializeToString(deterministic=True) == data


@every_model
def test_protobuf_round_trip_keeps_every_byte(make: Callable[[], Graph]) -> None:
    model = to_model(with_shapes(make()), {"key": "text"}, "1.2")
    again = to_model(from_model(model), {"key": "text"}, "1.2")
    assert again.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)
