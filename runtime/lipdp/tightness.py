"""How tight the bounds are on data: norms of gradients beside them; for looking at, never to be released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mindveil.runtime.lipdp.bounds import compute_gradient_bounds, example_bounds

if TYPE_CHECKING:
    from mindveil.runtime.lipdp.model import DP_Model

__all__ = ["average", "elementwise"]

Ratios = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


def average(model: DP_Model, data: Any) -> Ratios:
    """Norm of the batch's mean gradient, the bound of one example's gradient, and their ratio.

    Raises:
        ValueError: the batch has another size than the metadata's.
    """
    batch = model.dataset_metadata.batch_size
    if len(data[0]) != batch:
        raise ValueError(f"the batch has {len(data[0])} examples, and must have batch_size, {batch}")
    model.step.settle()
    bounds = {name: value * batch for name, value in compute_gradient_bounds(model, norms=model.norms).items()}
    gradients = model.step.sums(*data)
    norms = {name: float(np.linalg.norm(g.asnumpy())) / batch for name, g in zip(_names(model), gradients, strict=True)}
    return {name: norms[name] / bounds[name] for name in norms}, norms, bounds


def elementwise(model: DP_Model, data: Any) -> Ratios:
    """The same for each example alone: arrays ``[B]`` of norms and ratios."""
    model.step.settle()
    bounds = example_bounds(model, model.norms)
    found: dict[str, list[float]] = {name: [] for name in _names(model)}
    images, labels = data[0], data[1]
    for k in range(len(images)):
        gradients = model.step.sums(images[k : k + 1], labels[k : k + 1])
        for name, gradient in zip(found, gradients, strict=True):
            found[name].append(float(np.linalg.norm(gradient.asnumpy().astype(np.float64))))
    norms = {name: np.array(values) for name, values in found.items()}
    return {name: norms[name] / bounds[name] for name in norms}, norms, bounds


def _names(model: DP_Model) -> list[str]:
    return [p.name for p in model.layer_parameters()]
