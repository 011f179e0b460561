"""The function around the rules: names, batches, constants of any origin, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from mindveil.tools.gradients import UnsupportedNodeError, input_gradient

from .networks import small_network

Array = NDArray[Any]
INT64 = onnx.TensorProto.INT64


def session(proto: ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(proto.SerializeToString(), options)


def images(count: int) -> Array:
    return np.random.default_rng(2).random((count, 1, 12, 12), dtype=np.float32)


def single(
    operator: str, *extra: str, domain: str = "", constants: dict[str, Array] | None = None, **attributes: Any
) -> ModelProto:
    node = helper.make_node(operator, ["x", *extra], ["y"], name="the_node", domain=domain, **attributes)
    graph = helper.make_graph(
        [node],
        "single",
        [helper.make_tensor_value_info("x", 1, ["batch", 4])],
        [helper.make_tensor_value_info("y", 1, ["batch", 4] if operator == "BatchNormalization" else None)],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_network_gradient_along_a_direction_equals_the_change_of_its_features() -> None:
    proto = input_gradient(small_network(), output="hidden")
    run = session(proto)
    x, rng = images(3).astype(np.float64), np.random.default_rng(4)
    direction, cotangent = rng.normal(size=x.shape), rng.normal(size=(3, 12))
    exact = ReferenceEvaluator(_double(small_network(), "hidden"))

    def value(point: Array) -> float:
        return float((np.asarray(next(iter(exact.run(None, {"input": point})))) * cotangent).sum())

    numeric = (value(x + 1e-7 * direction) - value(x - 1e-7 * direction)) / 2e-7
    found = run.run(["input_gradient"], {"input": x.astype(np.float32), "cotangent": cotangent.astype(np.float32)})[0]
    assert float((found * direction).sum()) == pytest.approx(numeric, rel=2e-5)


def _double(model: ModelProto, output: str) -> ModelProto:
    for index, tensor in enumerate(list(model.graph.initializer)):
        array = numpy_helper.to_array(tensor).astype(np.float64)
        model.graph.initializer[index].CopyFrom(numpy_helper.from_array(array, tensor.name))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(output, onnx.TensorProto.DOUBLE, ["batch", 12]))
    return model


def test_rows_of_a_batch_have_the_gradient_that_they_have_alone() -> None:
    run = session(input_gradient(small_network(), output="hidden", cotangent=False))
    x = images(64)
    whole = run.run(["input_gradient"], {"input": x})[0]
    assert whole.shape == x.shape
    assert np.abs(whole).max() > 0
    for rows in (slice(0, 1), slice(5, 12)):
        np.testing.assert_allclose(
            run.run(["input_gradient"], {"input": x[rows]})[0], whole[rows], atol=1e-6 * np.abs(whole).max()
        )


def test_cotangent_left_out_is_one() -> None:
    run, x = session(input_gradient(small_network())), images(2)
    ones = {"input": x, "cotangent": np.ones((2, 5), np.float32)}
    left_out, given = (run.run(["input_gradient"], feed)[0] for feed in ({"input": x}, ones))
    np.testing.assert_array_equal(left_out, given)
    twice = run.run(["input_gradient"], {"input": x, "cotangent": np.full((2, 5), 2, np.float32)})[0]
    np.testing.assert_allclose(twice, 2 * given, rtol=1e-6)


def test_only_standard_operators_and_the_model_given_is_left_alone() -> None:
    model = small_network()
    before = model.SerializeToString()
    proto = input_gradient(model, output="logits", keep=("hidden",))
    assert model.SerializeToString() == before
    assert {node.domain for node in proto.graph.node} == {""}
    assert [item.domain for item in proto.opset_import] == [""]
    assert [value.name for value in proto.graph.output] == ["logits", "input_gradient", "hidden"]
    assert proto.graph.output[1].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_path_gives_the_same_model(tmp_path: Path) -> None:
    onnx.save(small_network(), tmp_path / "model.onnx")
    assert input_gradient(tmp_path / "model.onnx") == input_gradient(small_network())


def test_weights_rebuilt_from_a_compact_form_are_constants() -> None:
    """Gaps and values, as a pruned model may store them: Cast, CumSum, ScatterElements, Reshape of initializers."""
    rng = np.random.default_rng(5)
    dense = rng.normal(size=(4, 3)).astype(np.float32) * (rng.random((4, 3)) < 0.5)
    where = np.flatnonzero(dense)
    gaps = np.diff(where, prepend=0).astype(np.uint8)
    make = helper.make_node
    nodes = [
        make("Cast", ["gaps"], ["steps"], to=INT64),
        make("CumSum", ["steps", "zero"], ["positions"]),
        make("ConstantOfShape", ["size"], ["blank"]),
        make("ScatterElements", ["blank", "positions", "values"], ["flat"], axis=0),
        make("Reshape", ["flat", "shape"], ["weight"]),
        make("MatMul", ["x", "weight"], ["y"]),
    ]
    constants: dict[str, Array] = {
        "gaps": gaps,
        "zero": np.array(0, np.int64),
        "size": np.array([12], np.int64),
        "shape": np.array([4, 3], np.int64),
        "values": dense.reshape(-1)[where],
    }
    graph = helper.make_graph(
        nodes,
        "compact",
        [helper.make_tensor_value_info("x", 1, ["batch", 4])],
        [helper.make_tensor_value_info("y", 1, ["batch", 3])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    proto = input_gradient(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    assert not {"Cast", "CumSum", "ScatterElements"} & {node.op_type for node in proto.graph.node}
    cotangent = rng.normal(size=(2, 3)).astype(np.float32)
    found = session(proto).run(["x_gradient"], {"x": np.ones((2, 4), np.float32), "cotangent": cotangent})[0]
    np.testing.assert_allclose(found, cotangent @ dense.T, rtol=1e-6)


def test_shapes_computed_from_the_input_need_no_rule() -> None:
    """Shape, Gather and Concat of integers lead to a Reshape: no real numbers, so nothing to differentiate."""
    make = helper.make_node
    nodes = [
        make("Shape", ["x"], ["shape"]),
        make("Gather", ["shape", "first"], ["batch_size"]),
        make("Concat", ["batch_size", "rest"], ["wanted"], axis=0),
        make("Reshape", ["x", "wanted"], ["turned"]),
        make("Tanh", ["turned"], ["y"]),
    ]
    constants = {"first": np.array([0], np.int64), "rest": np.array([2, 2], np.int64)}
    graph = helper.make_graph(
        nodes,
        "shapes",
        [helper.make_tensor_value_info("x", 1, ["batch", 4])],
        [helper.make_tensor_value_info("y", 1, ["batch", 2, 2])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    proto = input_gradient(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_allclose(session(proto).run(["x_gradient"], {"x": x})[0], 1 - np.tanh(x) ** 2, atol=1e-6)


def test_a_model_local_function_is_inlined() -> None:
    function = helper.make_function(
        "local",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 20)],
    )
    model = single("Twice", domain="local")
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("local", 1))
    found = session(input_gradient(model)).run(["x_gradient"], {"x": np.zeros((2, 4), np.float32)})[0]
    np.testing.assert_array_equal(found, np.full((2, 4), 2.0))


def test_an_old_operator_set_is_lifted() -> None:
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=0)],
        "old",
        [helper.make_tensor_value_info("x", 1, ["batch", 4])],
        [helper.make_tensor_value_info("y", 1, ["batch"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    found = session(input_gradient(model)).run(["x_gradient"], {"x": np.zeros((2, 4), np.float32)})[0]
    np.testing.assert_allclose(found, np.full((2, 4), 0.25))


@pytest.mark.parametrize("operator", ["RandomNormal", "RandomNormalLike"])
def test_noise_is_drawn_anew_in_every_run_and_passes_no_gradient(operator: str) -> None:
    """A draw without inputs must not be taken for a constant, and one that reads the shape has no slope."""
    model = single("Add", "noise")
    if operator == "RandomNormal":
        noise = helper.make_node(operator, [], ["noise"], shape=[4])
    else:
        noise = helper.make_node(operator, ["x"], ["noise"])
    model.graph.node.insert(0, noise)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", 1, ["batch", 4]))
    run, x = session(input_gradient(model)), np.zeros((2, 4), np.float32)
    first, gradient = run.run(None, {"x": x})
    second, _ = run.run(None, {"x": x})
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(gradient, np.ones((2, 4)))


def test_no_path_of_real_numbers_gives_a_gradient_of_zero() -> None:
    found = session(input_gradient(single("Floor"))).run(["x_gradient"], {"x": np.ones((2, 4), np.float32)})[0]
    np.testing.assert_array_equal(found, np.zeros((2, 4)))


def test_an_unknown_operator_is_refused_with_its_name_and_node() -> None:
    with pytest.raises(
        UnsupportedNodeError, match=r"Hardmax \(node 'the_node', output 'y'\) has no gradient rule.*Conv"
    ):
        input_gradient(single("Hardmax"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (single("LpNormalization", p=1), "p is 1"),
        (single("Dropout", "", "on", constants={"on": np.array(True)}), "training_mode is on"),
        (
            single("BatchNormalization", *("ones",) * 4, constants={"ones": np.ones(4, np.float32)}, training_mode=1),
            "training_mode is 1",
        ),
    ],
    ids=["sum of absolute values", "dropout in training", "batch statistics"],
)
def test_an_option_without_a_rule_is_refused(model: ModelProto, message: str) -> None:
    with pytest.raises(UnsupportedNodeError, match=message):
        input_gradient(model)


def test_an_unknown_value_is_refused_with_the_values_there_are() -> None:
    with pytest.raises(ValueError, match=r"no value 'fc9'.*conv.*logits"):
        input_gradient(small_network(), output="fc9")


def test_a_constant_value_is_refused() -> None:
    model = single("Add", "c", constants={"c": np.ones(4, np.float32)})
    model.graph.node.append(helper.make_node("Neg", ["c"], ["fixed"]))
    with pytest.raises(ValueError, match="'fixed' is a constant"):
        input_gradient(model, output="fixed")


def test_a_value_of_whole_numbers_is_refused() -> None:
    model = single("ArgMax", axis=1)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", INT64, ["batch", 1]))
    with pytest.raises(ValueError, match="'y' holds no real numbers"):
        input_gradient(model)


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.onnx is not a file"):
        input_gradient(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_bytes(b"this is no model")
    with pytest.raises(ValueError, match=r"text\.onnx"):
        input_gradient(tmp_path / "text.onnx")


def test_the_choice_of_output_and_input_must_be_unique() -> None:
    model = single("Neg")
    model.graph.output.append(helper.make_tensor_value_info("x", 1, None))
    with pytest.raises(ValueError, match=r"2 outputs \(y, x\)"):
        input_gradient(model)
    two = single("Add", "z")
    two.graph.input.append(helper.make_tensor_value_info("z", 1, ["batch", 4]))
    with pytest.raises(ValueError, match=r"2 inputs of a real type \(x, z\)"):
        input_gradient(two)
    feed = {"x": np.ones((1, 4), np.float32), "z": np.ones((1, 4), np.float32)}
    assert session(input_gradient(two, wrt="z")).run(["z_gradient"], feed)[0].tolist() == [[1.0] * 4]
    with pytest.raises(ValueError, match="wrt is 'w'"):
        input_gradient(two, wrt="w")
