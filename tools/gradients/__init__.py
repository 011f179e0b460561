"""Input gradients of ONNX models, as ONNX models of ordinary operators: any runtime can compute them."""

from __future__ import annotations

from mindveil.tools.gradients.errors import UnsupportedNodeError
from mindveil.tools.gradients.rules import RULES
from mindveil.tools.gradients.vector_jacobian import COTANGENT, gradient_name, input_gradient

__all__ = ["COTANGENT", "RULES", "UnsupportedNodeError", "gradient_name", "input_gradient"]
