"""What an export did: what each pass gained, and how closely the file follows the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindveil.tools.onnx_passes.measure import TIMED_BATCHES
from mindveil.tools.onnx_passes.pipeline import PassStep

__all__ = ["ExportReport"]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The result of an export; ``str()`` is a table.

    Attributes:
        passes: what each pass did; sizes and latencies before and after.
        differences: largest absolute difference from MindSpore, by batch size.
        values: names of the values in the file, in order of execution.
    """

    path: str
    optimize: str
    bytes: int
    parameters: int
    passes: tuple[PassStep, ...]
    differences: Mapping[int, float]
    values: tuple[str, ...]

    @property
    def max_difference(self) -> float:
        """The largest absolute difference from MindSpore at any batch size verified."""
        return max(self.differences.values())

    def records(self) -> tuple[dict[str, Any], ...]:
        """The passes that were kept, as plain objects: the trace in the file's metadata."""
        return tuple(_record(step) for step in self.passes if step.kept and step.before != step.after)

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.bytes:,} bytes, {self.parameters:,} parameters, optimize={self.optimize}"]
        lines += [_line(step) for step in self.passes]
        found = ", ".join(f"{gap:.2g} at batch {rows}" for rows, gap in self.differences.items())
        return "\n".join([*lines, f"largest difference from MindSpore: {found}"])


def _record(step: PassStep) -> dict[str, Any]:
    before, after = step.before, step.after
    return {
        "name": step.name,
        "parameters": [before.parameters, after.parameters],
        "nonzeros": [before.nonzeros, after.nonzeros],
        "bytes": [before.bytes, after.bytes],
        "difference": step.difference,
    }


def _line(step: PassStep) -> str:
    before, after = step.before, step.after
    text = (
        f"  {step.name}: parameters {before.parameters:,} -> {after.parameters:,}, "
        f"non-zero {before.nonzeros:,} -> {after.nonzeros:,}, bytes {before.bytes:,} -> {after.bytes:,}"
    )
    if step.latency_before and step.latency_after:
        pairs = zip(TIMED_BATCHES, step.latency_before, step.latency_after, strict=True)
        text += "".join(f", batch {rows}: {old:.3f} -> {new:.3f} ms" for rows, old, new in pairs)
    if not step.kept:
        text += f" (not kept: {step.note})"
    return text
