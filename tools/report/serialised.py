"""Results as JSON and back: the layout of ``metrics.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from mindveil.tools.attacks.score import Score
from mindveil.tools.report.files import write_atomically
from mindveil.tools.report.results import AttackRecord, Difference, History, ModelResult, RunResults, TargetSummary

__all__ = ["from_json", "read_metrics", "to_json", "write_metrics"]

FORMAT = 1


def to_json(results: RunResults) -> str:
    """The results as JSON text, two spaces deep.

    ``models.<name>.attack`` has the scores of the first attack as plain numbers and ``references.<row>`` those of a
    reference row; the intervals stand beside them in ``attack_intervals`` and ``reference_intervals``, and
    ``attacks`` has every attack in full. An infinite epsilon is the string ``"inf"``.
    """
    content = {
        "format": FORMAT,
        "name": results.name,
        "command": results.command,
        "seconds": results.seconds,
        "stage_seconds": dict(results.stage_seconds),
        "versions": dict(results.versions),
        "targets": asdict(results.targets),
        "evaluator": results.evaluator,
        "models": {name: _model(model) for name, model in results.models.items()},
        "references": {row: _values(scores) for row, scores in results.references.items()},
        "reference_intervals": {row: _intervals(scores) for row, scores in results.references.items()},
        "differences": [
            {
                "attack": item.attack,
                "model": item.model,
                "baseline": item.baseline,
                **asdict(item.score),
                "name": item.name,
            }
            for item in results.differences
        ],
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _model(model: ModelResult) -> dict[str, Any]:
    headline = next(iter(model.attacks.values()))
    return {
        "title": model.title,
        "mode": model.mode,
        "accuracy": model.accuracy,
        "accuracy_n": model.accuracy_n,
        "epsilon": "inf" if model.epsilon == math.inf else model.epsilon,
        "delta": model.delta,
        "sparsity": model.sparsity,
        "onnx_bytes": model.onnx_bytes,
        "onnx_max_abs_difference": model.onnx_max_abs_difference,
        "sha256": model.sha256,
        "attack": _values(headline.scores),
        "attack_intervals": _intervals(headline.scores),
        "attacks": {name: _attack(record) for name, record in model.attacks.items()},
        "history": {name: list(values) for name, values in asdict(model.history).items()},
        "notes": list(model.notes),
    }


def _attack(record: AttackRecord) -> dict[str, Any]:
    return {
        "scores": _values(record.scores),
        "intervals": _intervals(record.scores),
        "seconds": record.seconds,
        "true_loss": record.true_loss,
        "found_loss": record.found_loss,
        "groups": _values(record.groups),
        "group_intervals": _intervals(record.groups),
    }


def _values(scores: Mapping[str, Score]) -> dict[str, float]:
    return {name: score.value for name, score in scores.items()}


def _intervals(scores: Mapping[str, Score]) -> dict[str, dict[str, Any]]:
    return {name: {"low": score.low, "high": score.high, "n": score.n} for name, score in scores.items()}


def from_json(text: str) -> RunResults:
    """The inverse of `to_json`.

    Raises:
        ValueError: the text is not the JSON of a run, or of another format version.
    """
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise ValueError(f"the metrics have format {content['format']}; this version reads {FORMAT}")
        return RunResults(
            name=content["name"],
            models={name: _read_model(item) for name, item in content["models"].items()},
            references={
                row: _scores(values, content["reference_intervals"][row])
                for row, values in content["references"].items()
            },
            targets=TargetSummary(**content["targets"]),
            versions=content["versions"],
            seconds=content["seconds"],
            command=content["command"],
            stage_seconds=content["stage_seconds"],
            differences=tuple(_read_difference(item) for item in content["differences"]),
            evaluator=content["evaluator"],
        )
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is not the metrics.json of a run: {type(error).__name__} {error}") from error


def _read_model(item: Mapping[str, Any]) -> ModelResult:
    plain = {entry.name: item[entry.name] for entry in fields(ModelResult)}
    plain["epsilon"] = math.inf if item["epsilon"] == "inf" else item["epsilon"]
    plain["history"] = History(**{name: tuple(values) for name, values in item["history"].items()})
    plain["notes"] = tuple(item["notes"])
    plain["attacks"] = {
        name: AttackRecord(
            scores=_scores(record["scores"], record["intervals"]),
            seconds=record["seconds"],
            true_loss=record["true_loss"],
            found_loss=record["found_loss"],
            groups=_scores(record["groups"], record["group_intervals"]),
        )
        for name, record in item["attacks"].items()
    }
    return ModelResult(**plain)


def _read_difference(item: Mapping[str, Any]) -> Difference:
    score = Score(f"{item['name']} difference", item["value"], item["low"], item["high"], item["n"])
    return Difference(item["attack"], item["model"], item["baseline"], item["name"], score)


def _scores(values: Mapping[str, float], intervals: Mapping[str, Mapping[str, Any]]) -> dict[str, Score]:
    return {name: Score(name, value, **intervals[name]) for name, value in values.items()}


def write_metrics(results: RunResults, path: Path) -> None:
    """Write ``metrics.json`` as a whole or not at all."""
    write_atomically(path, to_json(results).encode())


def read_metrics(path: Path) -> RunResults:
    """Read what `write_metrics` wrote.

    Raises:
        ValueError: the file is not the metrics of a run.
    """
    return from_json(path.read_text())
