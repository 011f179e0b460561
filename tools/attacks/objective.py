"""The objective of image inversion as an ONNX graph: one run gives each image's loss and the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from mindveil.tools.attacks.runner import ModelRunner, feature_names, only_input, session
from mindveil.tools.gradients import gradient_name, input_gradient
from mindveil.tools.gradients.builder import Builder
from mindveil.tools.gradients.forward import current

__all__ = ["SMOOTHNESS", "Objective", "Smoothness", "Weights", "objective_model"]

Smoothness = Literal["cpu", "device"]
SMOOTHNESS: tuple[str, ...] = get_args(Smoothness)
LOSSES = "inversion/losses"
_TARGETS = "inversion/targets"
_SCALES = "inversion/scales"
_BATCH = "inversion_batch"


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the three terms; 0 switches a term off."""

    features: float
    smoothness: float
    norm: float

    def __post_init__(self) -> None:
        values = (self.features, self.smoothness, self.norm)
        if not all(math.isfinite(item) and item >= 0 for item in values) or not any(values):
            raise ValueError(f"loss_weights are {values}, and must be three numbers of at least 0, not all 0")


@dataclass(frozen=True, slots=True)
class Objective:
    """The compiled objective for images of one shape.

    For each image x with target features t the loss is::

        features * ||f(x) - t||^2 / ||t||^2  +  smoothness * S(x)  +  norm * mean(x^2)

    where a target of length 0 is compared by the mean of squares instead. S sums the squared differences of
    neighbouring pixels, down and across. With C channels, height H and width W it is, in the form

    - ``cpu``: the sum of differences down / (C W) plus that across / (C H);
    - ``device``: both / (C H W), the last row and the last column also compared with black beyond the border.

    For one channel of 32 x 32 the first is 32 times the second inside the border. The forms differ because the
    recipe that is reproduced here computes a different formula on processors and on accelerators.

    The losses of a batch are independent: each image has the loss and the gradient that it has alone.
    """

    session: onnxruntime.InferenceSession
    input: str
    feature_shape: tuple[int, ...]

    def __call__(
        self, images: NDArray[np.float32], targets: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Losses (N,) and the gradient (N, C, H, W) for images (N, C, H, W) and target features (N, ...)."""
        feed = {self.input: images, _TARGETS: targets, _SCALES: _scales(targets)}
        losses, gradient = self.session.run([LOSSES, gradient_name(self.input)], feed)
        return losses, gradient

    def losses(self, images: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float32]:
        """The losses (N,) alone."""
        rows, wanted = np.ascontiguousarray(images, np.float32), np.ascontiguousarray(targets, np.float32)
        return self(rows, wanted)[0]

    @classmethod
    def of(
        cls,
        model: ModelProto,
        features: str,
        input_shape: tuple[int, int, int],
        weights: Weights,
        *,
        smoothness: Smoothness = "cpu",
        threads: int = 1,
    ) -> Objective:
        """Build and compile the objective for one value of ``model``."""
        graph = objective_model(model, features, input_shape, weights, smoothness)
        value = next(item for item in graph.graph.input if item.name == _TARGETS)
        shape = tuple(int(dim.dim_value) for dim in value.type.tensor_type.shape.dim)[1:]
        return cls(session(graph, threads), only_input(model).name, shape)


def _scales(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / ||t||^2 of each target; 1 / (number of features) where the target is zero."""
    squares = (targets.reshape(len(targets), -1).astype(np.float64) ** 2).sum(1)
    count = targets[0].size
    result: NDArray[np.float32] = (1 / np.where(squares > 0, squares, count)).astype(np.float32)
    return result


def objective_model(
    model: ModelProto,
    features: str,
    input_shape: tuple[int, int, int],
    weights: Weights,
    smoothness: Smoothness = "cpu",
) -> ModelProto:
    """The ONNX model that computes losses, and their gradient with respect to the image, from images and targets.

    Raises:
        ValueError: the value, the input shape or the form of smoothness does not exist.
        UnsupportedNodeError: a node on the way to the features has no gradient rule.
    """
    if smoothness not in SMOOTHNESS:
        raise ValueError(f"smoothness is {smoothness!r}, and must be one of {', '.join(SMOOTHNESS)}")
    if features not in {name for node in model.graph.node for name in node.output}:
        raise ValueError(f"the model has no value {features!r}; values to choose: {', '.join(feature_names(model))}")
    image = only_input(model)
    _check_input(image, input_shape)
    shape = ModelRunner.of(model, features)(np.zeros((1, *input_shape), np.float32)).shape[1:]
    if not shape:
        raise ValueError(f"the value {features!r} has no axis beside the batch; choose a value with features")
    extended = current(model)
    batch = _name_batch(only_input(extended))
    extended.graph.input.extend(
        [
            helper.make_tensor_value_info(_TARGETS, TensorProto.FLOAT, [batch, *shape]),
            helper.make_tensor_value_info(_SCALES, TensorProto.FLOAT, [batch]),
        ]
    )
    builder = Builder((name for node in extended.graph.node for name in node.output), prefix="inversion")
    terms = _terms(builder, image.name, features, (input_shape, shape), weights, smoothness)
    builder.nodes.append(helper.make_node("Sum", terms, [LOSSES], name=LOSSES))
    extended.graph.node.extend(builder.nodes)
    extended.graph.initializer.extend(builder.initializers)
    return input_gradient(extended, output=LOSSES, wrt=image.name, cotangent=False)


def _check_input(image: ValueInfoProto, input_shape: tuple[int, int, int]) -> None:
    dims = image.type.tensor_type.shape.dim
    fixed = [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
    if len(fixed) != 4 or any(want not in (None, have) for want, have in zip(fixed[1:], input_shape, strict=True)):
        raise ValueError(f"input_shape is {input_shape}; the model's input {image.name!r} is {fixed} (None: any size)")
    if fixed[0] is not None:
        raise ValueError(
            f"the model's batch size is fixed at {fixed[0]}; export it with a symbolic batch axis, as the attack runs "
            "all images as one batch"
        )


def _name_batch(image: ValueInfoProto) -> str:
    """The symbol of the image's batch axis, so that the targets can share it; given one where it has none."""
    dim = image.type.tensor_type.shape.dim[0]
    if not dim.dim_param:
        dim.dim_param = _BATCH
    return str(dim.dim_param)


def _terms(
    builder: Builder,
    image: str,
    features: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    weights: Weights,
    smoothness: Smoothness,
) -> list[str]:
    """The names of the (N,) terms; the image's own are left out where their weight is 0."""
    input_shape, feature_shape = shapes
    squares = _sum_of_squares(builder, builder.op("Sub", features, _TARGETS), len(feature_shape))
    terms = [_weighted(builder, builder.op("Mul", squares, _SCALES), weights.features)]
    if weights.smoothness:
        terms.extend(_smoothness(builder, image, input_shape, weights.smoothness, smoothness))
    if weights.norm:
        terms.append(_weighted(builder, _sum_of_squares(builder, image, 3), weights.norm / math.prod(input_shape)))
    return terms


def _smoothness(
    builder: Builder, image: str, input_shape: tuple[int, ...], weight: float, form: Smoothness
) -> list[str]:
    """The two terms of S: differences down and across."""
    channels, *sides = input_shape
    terms = []
    for offset, axis in enumerate((2, 3)):
        size = sides[offset]
        first = _cut(builder, image, 0, size - 1, axis)
        second = _cut(builder, image, 1, size, axis)
        squares = _sum_of_squares(builder, builder.op("Sub", second, first), 3)
        if form == "cpu":
            terms.append(_weighted(builder, squares, weight / (channels * sides[1 - offset])))
        else:
            border = _sum_of_squares(builder, _cut(builder, image, size - 1, size, axis), 3)
            terms.append(_weighted(builder, builder.op("Add", squares, border), weight / math.prod(input_shape)))
    return terms


def _cut(builder: Builder, value: str, start: int, end: int, axis: int) -> str:
    return builder.op("Slice", value, *(builder.integers([item]) for item in (start, end, axis)))


def _sum_of_squares(builder: Builder, value: str, axes: int) -> str:
    """The sum of squares of each row, over the axes 1 to ``axes``."""
    return builder.op("ReduceSumSquare", value, builder.integers(range(1, axes + 1)), keepdims=0)


def _weighted(builder: Builder, value: str, weight: float) -> str:
    return builder.op("Mul", value, builder.constant(weight, np.float32))
