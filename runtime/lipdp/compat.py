"""The original's rules, faults included, to compare its numbers with ours; nothing is trained by them."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

from mindveil.runtime.lipdp.balls import DP_ClipGradient
from mindveil.runtime.lipdp.bias import DP_AddBias
from mindveil.runtime.lipdp.convolution import DP_QuickSpectralConv2D
from mindveil.runtime.lipdp.losses import DP_KCosineSimilarity, DP_TauCategoricalCrossentropy
from mindveil.runtime.lipdp.margin_losses import DP_MulticlassHKR, DP_MulticlassKR
from mindveil.runtime.lipdp.residual import DP_WrappedResidual
from mindveil.runtime.lipdp.rules import DPLayer

if TYPE_CHECKING:
    from mindveil.runtime.lipdp.model import DP_Model

__all__ = ["original_bounds", "original_constant"]


def original_bounds(model: DP_Model) -> dict[str, float]:
    """What deel-lipdp's ``compute_gradient_bounds`` returns for the same layers, last layer first."""
    entering: list[Any] = []
    bound: Any = None
    for layer in model.layers_forward_order():
        entering.append(bound)
        bound = _forward(layer, bound)
    gradient: Any = original_constant(model.loss) / model.dataset_metadata.batch_size
    bounds: dict[str, float] = {}
    for layer, entered in zip(reversed(model.layers_forward_order()), reversed(entering), strict=True):
        if layer.has_parameters():
            bounds[layer.parameter().name] = float(_parameter(layer, entered, gradient))
        gradient = _backward(layer, entered, gradient)
    return bounds


def original_constant(loss: Any) -> float:
    """The original's ``get_L``: right for cross-entropy, wrong for the cosine, loose for others."""
    if isinstance(loss, DP_TauCategoricalCrossentropy):
        return sqrt(2)
    if isinstance(loss, DP_KCosineSimilarity):
        return float(1 / loss.K**2)
    if isinstance(loss, DP_MulticlassHKR) and not isinstance(loss, DP_MulticlassKR):
        return float(loss.alpha + 1)
    return 1.0


def _forward(layer: DPLayer, bound: Any) -> Any:
    if isinstance(layer, DP_AddBias):
        return bound + layer.norm_max
    if isinstance(layer, DP_WrappedResidual):
        return bound[0], _forward(layer.block, bound[1])
    return layer.propagate_inputs(bound)


def _parameter(layer: DPLayer, entered: Any, gradient: Any) -> Any:
    if isinstance(layer, DP_WrappedResidual):
        return _parameter(layer.block, entered[1], gradient[1])
    if isinstance(layer, DP_AddBias):
        return gradient
    if isinstance(layer, DP_QuickSpectralConv2D):
        kh, kw = layer.kernel_size
        return _coefficient(layer) * sqrt(kh * kw) * entered * gradient
    return layer.backpropagate_params(entered, gradient)


def _backward(layer: DPLayer, entered: Any, gradient: Any) -> Any:
    if isinstance(layer, DP_WrappedResidual):
        return gradient[0], _backward(layer.block, entered[1], gradient[1])
    if isinstance(layer, DP_ClipGradient):  # the gradient was divided by the batch, the clip value was not
        return min(gradient, float(layer.clip_value.asnumpy()))
    return layer.backpropagate_inputs(entered, gradient)


def _coefficient(layer: DP_QuickSpectralConv2D) -> float:
    (kh, kw), (sh, sw), (height, width) = layer.kernel_size, layer.strides, layer.input_shape[1:]
    if sh * sw != 1:
        return sqrt(1 / (ceil(kh / sh) * ceil(kw / sw)))
    ph, pw = (kh - 1) / 2, (kw - 1) / 2
    return sqrt(height * width / ((kh * height - ph * (ph + 1)) * (kw * width - pw * (pw + 1))))
