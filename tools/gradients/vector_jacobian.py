"""Makes an ONNX model that computes a value together with its gradient with respect to an input."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from mindveil.tools.gradients.builder import Builder
from mindveil.tools.gradients.forward import Forward, load_model, prepare
from mindveil.tools.gradients.reverse import pull_back

__all__ = ["COTANGENT", "gradient_name", "input_gradient"]

COTANGENT = "cotangent"
_REAL = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def gradient_name(wrt: str) -> str:
    """The name of the output that holds the gradient with respect to ``wrt``."""
    return f"{wrt}_gradient"


def input_gradient(
    model: str | PathLike[str] | ModelProto,
    *,
    output: str | None = None,
    wrt: str | None = None,
    keep: tuple[str, ...] = (),
    cotangent: bool = True,
) -> ModelProto:
    """A model of ordinary ONNX operators that computes a value of ``model`` and its vector-Jacobian product.

    The new model has the outputs ``output``, ``<wrt>_gradient`` and the values in ``keep``. The gradient is that of
    ``sum(cotangent * output)``. ``cotangent`` is an input with a default: left out of the feed it is 1, and the
    gradient is that of the output's sum; any array that broadcasts to the output may be fed. A symbolic batch axis
    stays symbolic, and where the rows of the output do not influence each other, neither do those of the gradient.

    Every value that does not depend on a graph input is computed here, once, and stored as an initializer.

    Args:
        model: a path, or the model itself, which is left alone.
        output: the value to differentiate; any value of the graph. Default: the only graph output.
        wrt: the input to differentiate with respect to. Default: the only input of a real type.
        keep: further values of the graph that the new model returns after the gradient.
        cotangent: False leaves the input ``cotangent`` out; the gradient is that of the output's sum.

    Raises:
        UnsupportedNodeError: a node on the way has no gradient rule; the message names it and lists those that have.
        ValueError: no such value or input; or the choice is not unique; or the value is constant.
        FileNotFoundError: there is no such file.

    Example:
        >>> from onnx import helper
        >>> import onnxruntime
        >>> x = helper.make_tensor_value_info("x", 1, ["batch", 3])
        >>> y = helper.make_tensor_value_info("y", 1, ["batch", 3])
        >>> graph = helper.make_graph([helper.make_node("Tanh", ["x"], ["y"])], "example", [x], [y])
        >>> model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        >>> session = onnxruntime.InferenceSession(input_gradient(model, cotangent=False).SerializeToString())
        >>> session.run(["x_gradient"], {"x": [[0.0, 0.0, 0.0]]})[0].tolist()
        [[1.0, 1.0, 1.0]]
    """
    loaded = load_model(model)
    value = output or _only_output(loaded)
    # Rules may switch optional outputs on, so the nodes must be the new model's own.
    forward = _own_nodes(prepare(loaded, [value, *keep]))
    if forward.types.get(value, TensorProto.FLOAT) not in _REAL:
        raise ValueError(f"the value {value!r} holds no real numbers, so it has no gradient; choose another output=")
    wrt = wrt or _only_real_input(forward, value)
    _check_input(forward, wrt, value)
    taken = {*forward.types, *forward.shapes, *(name for node in forward.nodes for name in node.output)}
    builder = Builder(taken)
    seed, extra_inputs, extra_tensors = _seed(forward, builder, value, cotangent)
    gradient = pull_back(forward, builder, {value: seed}, wrt)
    if gradient is None:
        gradient = builder.op("Mul", wrt, builder.constant(0, helper.tensor_dtype_to_np_dtype(forward.types[wrt])))
    builder.nodes.append(helper.make_node("Identity", [gradient], [gradient_name(wrt)], name=gradient_name(wrt)))
    outputs = [_value_info(forward, value), _like(forward, wrt), *(_value_info(forward, name) for name in keep)]
    return _assemble(forward, builder, [*forward.inputs, *extra_inputs], outputs, extra_tensors)


def _own_nodes(forward: Forward) -> Forward:
    copies = []
    for node in forward.nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    return replace(forward, nodes=tuple(copies))


def _only_output(model: ModelProto) -> str:
    names = [value.name for value in model.graph.output]
    if len(names) != 1:
        raise ValueError(f"the model has {len(names)} outputs ({', '.join(names)}); choose one with output=")
    return str(names[0])


def _only_real_input(forward: Forward, value: str) -> str:
    names = [item.name for item in forward.inputs if item.type.tensor_type.elem_type in _REAL]
    if len(names) != 1:
        listed = ", ".join(names)
        raise ValueError(f"{value!r} depends on {len(names)} inputs of a real type ({listed}); choose one with wrt=")
    return str(names[0])


def _check_input(forward: Forward, wrt: str, value: str) -> None:
    names = [item.name for item in forward.inputs]
    if wrt not in names:
        raise ValueError(f"wrt is {wrt!r}, and must be an input that {value!r} depends on: {', '.join(names)}")
    if forward.types.get(wrt) not in _REAL:
        raise ValueError(f"the input {wrt!r} holds no real numbers, so there is no gradient with respect to it")


def _seed(
    forward: Forward, builder: Builder, value: str, cotangent: bool
) -> tuple[str, list[ValueInfoProto], list[TensorProto]]:
    """The cotangent that the walk starts from, and the graph input for it where one is wanted."""
    kind = _value_info(forward, value).type.tensor_type.elem_type
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    shape = builder.op("Shape", value)
    if not cotangent:
        return builder.op("Expand", builder.constant(1, dtype), shape), [], []
    rank = len(forward.shapes[value])
    # The dims are symbols of their own: the default has size 1 where the value may have any.
    info = helper.make_tensor_value_info(COTANGENT, kind, [f"{COTANGENT}_{axis}" for axis in range(rank)])
    default = numpy_helper.from_array(np.ones([1] * rank, dtype), COTANGENT)
    return builder.op("Expand", COTANGENT, shape), [info], [default]


def _value_info(forward: Forward, name: str) -> ValueInfoProto:
    if name not in forward.shapes:
        raise ValueError(f"shape inference does not know the rank of {name!r}; add it to the model's value_info")
    return helper.make_tensor_value_info(name, forward.types.get(name, TensorProto.FLOAT), forward.shapes[name])


def _like(forward: Forward, wrt: str) -> ValueInfoProto:
    return helper.make_tensor_value_info(gradient_name(wrt), forward.types[wrt], forward.shapes.get(wrt))


def _assemble(
    forward: Forward,
    builder: Builder,
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    tensors: list[TensorProto],
) -> ModelProto:
    nodes = [*forward.nodes, *builder.nodes]
    used = {name for node in nodes for name in node.input}
    stored = [numpy_helper.from_array(np.array(a, order="C"), n) for n, a in forward.constants.items() if n in used]
    graph = helper.make_graph(nodes, "input_gradient", inputs, outputs, [*stored, *builder.initializers, *tensors])
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", forward.opset)],
        ir_version=forward.ir_version,
        producer_name="mindveil",
    )
    onnx.checker.check_model(model)
    return model
