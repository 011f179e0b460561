"""Every rule against central differences in double precision, computed by the reference evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from scipy import special

from mindveil.tools.gradients import RULES, gradient_name, input_gradient

from .case import Case
from .cases import CASES

STEP = 1e-6


class Erf(OpRun):
    """The evaluator's own Erf returns single precision, too coarse for differences."""

    def _run(self, x: NDArray[Any]) -> tuple[NDArray[Any]]:
        return (np.asarray(special.erf(x)),)


class Gelu(OpRun):
    """As Erf, from the definition x Phi(x) or its tanh form."""

    def _run(self, x: NDArray[Any], approximate: str = "none") -> tuple[NDArray[Any]]:
        if approximate == "tanh":
            return (x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),)
        return (np.asarray(x * special.ndtr(x)),)


class LRN(OpRun):
    """The evaluator's own visits as many channels as there are rows; this one visits all, by the definition."""

    def _run(self, x: NDArray[Any], alpha: float, beta: float, bias: float, size: int) -> tuple[NDArray[Any]]:
        below, above = (size - 1) // 2, -(-(size - 1) // 2)
        squares = [(x[:, max(0, c - below) : c + above + 1] ** 2).sum(1) for c in range(x.shape[1])]
        return (x / (bias + alpha / size * np.stack(squares, axis=1)) ** beta,)


def reference(model: ModelProto, feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    results = ReferenceEvaluator(model, new_ops=[Erf, Gelu, LRN]).run(None, feed)
    return [np.asarray(value) for value in results]


def run_onnxruntime(model: ModelProto, feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results: list[NDArray[Any]] = session.run(None, feed)
    return results


def central_differences(case: Case, x: NDArray[Any], cotangent: NDArray[Any]) -> NDArray[np.float64]:
    model = (case.twin or case).model(np.float64)
    gradient = np.empty(x.size)
    for index in range(x.size):
        moved = [x.reshape(-1).copy(), x.reshape(-1).copy()]
        moved[0][index] += STEP
        moved[1][index] -= STEP
        up, down = (reference(model, {"x": item.reshape(x.shape)})[0] for item in moved)
        gradient[index] = ((up - down) * cotangent).sum() / (2 * STEP)
    return gradient.reshape(x.shape)


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    assert {case.operator for case in CASES} == set(RULES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_equals_central_differences(case: Case) -> None:
    x = case.point()
    value = reference((case.twin or case).model(np.float64), {"x": x})[0]
    cotangent = np.random.default_rng(3).normal(size=value.shape)
    expected = central_differences(case, x, cotangent)
    scale = max(1.0, float(np.abs(expected).max()))

    if case.double:
        exact = input_gradient(case.model(np.float64))
        found = reference(exact, {"x": x, "cotangent": cotangent})[1]
        np.testing.assert_allclose(found, expected, atol=2e-8 * scale, rtol=0)

    single = input_gradient(case.model(np.float32))
    names = [item.name for item in single.graph.output]
    assert names[1] == gradient_name("x")
    kind = np.float64 if case.operator == "Cast" else np.float32  # the cotangent has the output's type
    feed = {"x": x.astype(np.float32), "cotangent": cotangent.astype(kind)}
    forward, found = run_onnxruntime(single, feed)
    np.testing.assert_allclose(forward, value, atol=2e-5 * max(1.0, float(np.abs(value).max())), rtol=0)
    np.testing.assert_allclose(found, expected, atol=2e-5 * scale, rtol=0)
