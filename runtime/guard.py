"""Compiles a step through its passes, and lets it run only if they saw the very graph that will run."""

from __future__ import annotations

import time
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from mindspore import Tensor

from mindveil.passes.bridge import plugin
from mindveil.passes.edits import edits
from mindveil.passes.graph import StepGraph, read_graph
from mindveil.passes.pipeline import Compiled
from mindveil.passes.privacy import PrivacyError
from mindveil.runtime.environment import refuse_bypass
from mindveil.runtime.marker import MindveilStep
from mindveil.runtime.step_cell import Kind, Parts, StepCell

__all__ = ["CompileTime", "Guard", "kernels_work"]


@dataclass(frozen=True, slots=True)
class CompileTime:
    """What the last compilation of a step took, in seconds; ``passes`` is the part that was this product's own."""

    total: float
    passes: float

    def __str__(self) -> str:
        return f"compiled in {self.total:.2f} s, {self.passes:.2f} s of it in the passes"


def kernels_work() -> bool:
    """Whether graphs can be rewritten on this machine; warns with the reason if not."""
    try:
        plugin.load()
    except plugin.PluginError as error:
        warnings.warn(f"training goes on with MindSpore's own kernels: {error}", RuntimeWarning, stacklevel=4)
        return False
    return True


class Guard:
    """One kind of step of one training run.

    Args:
        rewrite: from the graph to what the passes make of it; None for a step without any policy, which needs no pass.
    """

    def __init__(
        self, parts: Parts, kind: Kind, names: dict[str, list[str]], rewrite: Callable[[StepGraph], Compiled] | None
    ) -> None:
        self._rewrite = rewrite
        self._seen: Compiled | None = None
        self._refusal: PrivacyError | None = None
        self._approved: dict[str, Compiled] = {}
        self._in_passes = 0.0
        self.compile_time: CompileTime | None = None
        marker = None
        if rewrite is not None:
            plugin.load()
            token = uuid.uuid4().hex
            marker = MindveilStep(token, names["parameters"], names["controls"], names["masked"])
            plugin.connect(token, self._on_compile)
        self.cell = StepCell(parts, kind, marker)

    @property
    def compiled(self) -> Compiled | None:
        """What the passes made of the graph that was compiled last."""
        return next(reversed(self._approved.values()), None) if self._approved else None

    def prepare(self, *batch: Tensor) -> Compiled | None:
        """Compiles for the shapes of this batch if need be; nothing runs yet.

        Raises:
            PrivacyError: the passes refused, or MindSpore did not call them.
        """
        if self._rewrite is None:
            return None
        refuse_bypass()
        return self._approve(lambda: self.cell.compile(*batch))

    def run(self, *batch: Tensor) -> tuple[Tensor, Tensor]:
        """Runs the step that was prepared; its loss, and how many examples had no finite gradient."""
        if self._rewrite is None:
            loss, not_finite = self.cell.compile_and_run(*batch)
            return loss, not_finite
        results: list[tuple[Tensor, Tensor]] = []
        # MindSpore drops the keys of compiled graphs when another Cell is collected, and then compiles once more here.
        self._approve(lambda: results.append(self.cell.compile_and_run(*batch)))
        return results[0]

    def _approve(self, act: Callable[[], object]) -> Compiled:
        """Compiles by ``act``, and finds the graph it ended with among those that the passes rewrote."""
        self._seen = self._refusal = None
        began = time.perf_counter()
        try:
            act()
        except RuntimeError:
            if self._refusal is not None:  # MindSpore hands on the text alone; the reason has a type of its own
                raise self._refusal from None
            raise
        phase = self.cell.current_phase
        if self._seen is not None:
            self._approved[phase] = self._seen
            self.compile_time = CompileTime(time.perf_counter() - began, self._in_passes)
        if phase not in self._approved:
            raise PrivacyError(
                "MindSpore compiled this step without calling the graph passes; nothing of it may be used"
            )
        return self._approved[phase]

    def _on_compile(self, document: plugin.Document) -> plugin.Edits:
        began = time.perf_counter()
        try:
            return self._edited(document)
        finally:
            self._in_passes = time.perf_counter() - began

    def _edited(self, document: plugin.Document) -> plugin.Edits:
        graph = read_graph(document)
        if self._rewrite is None:
            raise PrivacyError("a step without passes cannot carry a marker")
        try:
            self._seen = self._rewrite(graph)
        except PrivacyError as refusal:
            self._refusal = refusal
            raise
        return edits(graph, self._seen.fast)
