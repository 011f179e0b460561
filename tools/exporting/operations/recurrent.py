"""Recurrent layers that MindSpore runs as one fused operation."""

from __future__ import annotations

import numpy as np

from mindveil.tools.exporting.call import Call, Translation
from mindveil.tools.exporting.emitter import vector

__all__ = ["TRANSLATIONS"]

GATES = (0, 3, 1, 2)
"""MindSpore stacks input, forget, cell, output; ONNX wants input, output, forget, cell."""


def _lstm(call: Call) -> list[str]:
    """``LSTM(x (T, B, I), h (1, B, H), c (1, B, H), weights)`` of one layer and direction.

    MindSpore flattens all weights into one vector: input to gates, hidden to gates, the sum of both biases.
    """
    for name, wanted in (("num_layers", 1), ("bidirectional", False), ("proj_size", 0)):
        if call.attribute(name, wanted) != wanted:
            call.refuse(f"its {name} is {call.attribute(name)}, and export knows {wanted}")
    hidden, size = int(call.attribute("hidden_size")), int(call.attribute("input_size"))
    rows = 4 * hidden
    parts = [rows * size, rows * hidden] + ([rows] if call.attribute("has_bias") else [])
    flat = call.emit("Reshape", call.tensor(3), call.array(vector([-1]), "flat"))
    cut = call.emit_many("Split", [flat, call.array(vector(parts), "parts")], len(parts), {"axis": 0})
    inputs = [call.tensor(0), _gates(call, cut[0], hidden, size), _gates(call, cut[1], hidden, hidden)]
    if len(cut) > 2:
        bias = call.emit("Reshape", _gates(call, cut[2], hidden, 1), call.array(vector([1, rows]), "bias_shape"))
        zeros = call.array(np.zeros((1, rows), call.result().dtype), "second_bias")
        inputs.append(call.emit("Concat", bias, zeros, axis=1))
    else:
        inputs.append("")
    inputs += ["", call.tensor(1), call.tensor(2)]
    outputs = call.emit_many("LSTM", inputs, 3, {"hidden_size": hidden})
    return [call.emit("Squeeze", outputs[0], call.array(vector([1]), "direction")), *outputs[1:]]


def _gates(call: Call, part: str, hidden: int, width: int) -> str:
    """One block of weights, (1, 4 * hidden, width), in ONNX's order of gates."""
    stacked = call.emit("Reshape", part, call.array(vector([4, hidden, width]), "stacked"))
    ordered = call.emit("Gather", stacked, call.array(vector(GATES), "gates"), axis=0)
    return call.emit("Reshape", ordered, call.array(vector([1, 4 * hidden, width]), "joined"))


TRANSLATIONS: dict[str, Translation] = {"LSTM": _lstm}
