"""Pooling and resizing with channels in axis 1: every row of axis 0 by itself."""

from __future__ import annotations

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import Operation, RefusedError, View, many, words
from mindveil.passes.privacy import PerExample, Privacy

__all__ = ["WINDOW"]


def _rows(view: View, node: Node) -> Privacy:
    outer = view.rows(node.inputs).outer
    rows = view.shape(view.examples(node.inputs)[0])[0]
    outputs = view.outputs(node) if node.type.elements is not None else (node.shape,)
    if any(not shape or shape[0] != rows for shape in outputs):
        raise RefusedError("its result has other rows than its input")
    if node.type.elements is not None:
        return many([PerExample(outer)] * len(outputs))
    return PerExample(outer)


def _pool(view: View, node: Node) -> Privacy:
    """Rows stand alone only with channels in axis 1; a window of another layout could cover the examples."""
    layout = node.attrs.get("format", node.attrs.get("data_format", "NCHW"))
    if layout not in ("NCHW", "NCDHW", 0, 14):
        raise RefusedError(f"its layout is {layout!r}: only channels in axis 1 (NCHW, NCDHW) are known")
    rank = len(view.shape(view.examples(node.inputs)[0]))
    if rank < 4:
        raise RefusedError(
            f"its input has {rank} dimensions, so that the first may be the channels; give it a batch dimension"
        )
    return _rows(view, node)


WINDOW: dict[str, Operation] = {
    name: Operation(_pool)
    for name in words(
        """MaxPool MaxPoolGrad AvgPool AvgPoolGrad AvgPool3D AvgPool3DGrad MaxPool3D MaxPool3DGrad MaxPool3DWithArgmax
        MaxPool3DGradWithArgmax MaxPoolWithArgmax MaxPoolGradWithArgmax AdaptiveAvgPool2D AdaptiveAvgPool2DGrad
        AdaptiveMaxPool2D AdaptiveMaxPool2DGrad ResizeNearestNeighborV2 ResizeNearestNeighborV2Grad ResizeBilinearV2
        ResizeBilinearGrad UpsampleNearest2D UpsampleNearest2DGrad UpsampleBilinear2D UpsampleBilinear2DGrad Im2Col"""
    )
}
