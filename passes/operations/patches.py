"""The patches of its input that a convolution multiplies with its filter, as a tensor of the step graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import ceil, gcd, prod
from typing import Any

from mindveil.passes.edits import Builder
from mindveil.passes.graph import Constant, TensorType
from mindveil.passes.operations.table import RefusedError

__all__ = ["Window", "overlap", "patches"]


@dataclass(frozen=True, slots=True)
class Window:
    """How a convolution walks over its input.

    Attributes:
        pads: ``(before, after)`` of each dimension; an ``after`` below zero means that the last values are never met.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    outputs: tuple[int, ...]

    @classmethod
    def of(
        cls, attrs: Mapping[str, Any], seen: tuple[int, ...], given: tuple[int, ...], kernel: tuple[int, ...]
    ) -> Window:
        """The window of a filter gradient with these attributes, from spatial sizes ``seen`` to ``given``."""
        rank = len(kernel)
        stride = tuple(attrs.get("strides", attrs.get("stride")))[-rank:]
        dilation = tuple(attrs.get("dilations", attrs.get("dilation")))[-rank:]
        needed = [(g - 1) * s + (k - 1) * d + 1 for g, s, k, d in zip(given, stride, kernel, dilation, strict=True)]
        before = _before(attrs, seen, needed)
        pads = tuple((b, n - b - size) for b, n, size in zip(before, needed, seen, strict=True))
        return cls(kernel, stride, dilation, pads, given)


def _before(attrs: Mapping[str, Any], seen: tuple[int, ...], needed: list[int]) -> list[int]:
    """Zeros in front of each dimension. Conv3D's gradient leaves ``pad_list`` out: ``same`` splits them in halves."""
    given = attrs.get("pad_list") or (attrs.get("pad") if attrs.get("pad_mode") in (0, "pad") else None)
    if given:
        return [int(p) for p in given[0::2]]
    if attrs.get("pad_mode") in (2, "valid", "VALID"):
        return [0] * len(seen)
    if attrs.get("pad_mode") in (1, "same", "SAME"):
        return [max(n - size, 0) // 2 for n, size in zip(needed, seen, strict=True)]
    raise RefusedError(f"its padding is not known (pad_mode {attrs.get('pad_mode')!r}, no pad_list)")


def overlap(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], outside: tuple[int, ...]
) -> int:
    """The largest number of windows that cover one value; ``outside`` is the output's extent in each dimension.

    >>> overlap((3, 3), (2, 2), (1, 1), (13, 13))
    4
    """
    total = 1
    for k, s, d, extent in zip(kernel, stride, dilation, outside, strict=True):
        total *= min(ceil(k / (s // gcd(s, d))), extent)
    return total


def patches(build: Builder, x: int, window: Window) -> int:
    """``[rows, channels, kernel, outputs]``, kernel and outputs flattened."""
    rows, channels = build[x].shape[:2]
    fitted = _fit(build, x, window)
    size = prod(window.kernel)
    if size == 1 and set(window.stride) == {1}:
        return build.reshape(fitted, (rows, channels, 1, prod(window.outputs)))
    if len(window.kernel) == 2:
        return _im2col(build, fitted, window)
    steps = [_position(build, fitted, window, at) for at in product(*map(range, window.kernel))]
    flat = [build.reshape(s, (rows, channels, 1, prod(window.outputs))) for s in steps]
    group = build.op("MakeTuple", flat, TensorType(elements=tuple(build[f].type for f in flat)))
    type_ = TensorType((rows, channels, size, prod(window.outputs)), build[x].type.dtype)
    return build.op("Concat", [group, build.constant("int", 2)], type_)


def _fit(build: Builder, x: int, window: Window) -> int:
    """The input with its border of zeros written out, and without what no patch meets."""
    shape = build[x].shape
    cut = tuple(min(size, size + after) for size, (_, after) in zip(shape[2:], window.pads, strict=True))
    if cut != shape[2:]:
        x = _slice(build, x, [0] * len(cut), list(cut), [1] * len(cut))
    widths = [(before, max(after, 0)) for before, after in window.pads]
    if not any(map(any, widths)):
        return x
    padded = tuple(size + b + a for size, (b, a) in zip(cut, widths, strict=True))
    flat = [w for pair in reversed(widths) for w in pair] + [0, 0, 0, 0]
    type_ = TensorType((*shape[:2], *padded), build[x].type.dtype)
    attrs = {"mode": Constant("str", "constant"), "paddings_contiguous": Constant("bool", True)}
    return build.op("PadV3", [x, build.ints(flat), build.constant("float", 0.0)], type_, attrs)


def _im2col(build: Builder, x: int, window: Window) -> int:
    rows, channels = build[x].shape[:2]
    type_ = TensorType((rows, channels, prod(window.kernel), prod(window.outputs)), build[x].type.dtype)
    attrs = {
        "ksizes": Constant("ints", window.kernel),
        "strides": Constant("ints", window.stride),
        "dilations": Constant("ints", window.dilation),
        "pads": Constant("ints", (0, 0)),
    }
    return build.op("Im2Col", [x], type_, attrs)


def _position(build: Builder, x: int, window: Window, at: tuple[int, ...]) -> int:
    """What one position of the kernel meets: no kernel of MindSpore unfolds three dimensions on the CPU."""
    begin = [a * d for a, d in zip(at, window.dilation, strict=True)]
    end = [b + (o - 1) * s + 1 for b, o, s in zip(begin, window.outputs, window.stride, strict=True)]
    return _slice(build, x, begin, end, list(window.stride))


def _slice(build: Builder, x: int, begin: list[int], end: list[int], stride: list[int]) -> int:
    """A slice of the dimensions behind the channels."""
    shape = build[x].shape
    sizes = tuple(-(-(e - b) // s) for b, e, s in zip(begin, end, stride, strict=True))
    none = build.constant("int", 0)
    inputs = [x, build.ints([0, 0, *begin]), build.ints([*shape[:2], *end]), build.ints([1, 1, *stride])]
    return build.op("StridedSlice", [*inputs, *[none] * 5], TensorType((*shape[:2], *sizes), build[x].type.dtype))
