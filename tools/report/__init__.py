"""The evaluation report: results as values, ``metrics.json``, pictures, and one self-contained page."""

from __future__ import annotations

from mindveil.tools.report.curves import LossCurve
from mindveil.tools.report.results import (
    AttackRecord,
    Difference,
    History,
    ModelResult,
    RunResults,
    TargetSummary,
    attack_record,
    paired_differences,
)
from mindveil.tools.report.serialised import from_json, read_metrics, to_json, write_metrics
from mindveil.tools.report.writing import PictureData, draw, write_report

__all__ = [
    "AttackRecord",
    "Difference",
    "History",
    "LossCurve",
    "ModelResult",
    "PictureData",
    "RunResults",
    "TargetSummary",
    "attack_record",
    "draw",
    "from_json",
    "paired_differences",
    "read_metrics",
    "to_json",
    "write_metrics",
    "write_report",
]
