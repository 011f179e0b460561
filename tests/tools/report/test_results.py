"""metrics.json: the keys that others rely on, the way back, and files that are whole or absent."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from mindveil.tools.report import History, from_json, read_metrics, to_json
from mindveil.tools.report import write_metrics as write
from mindveil.tools.report.files import write_atomically

from .runs import model, run


def test_the_way_back_gives_equal_results() -> None:
    assert from_json(to_json(run())) == run()


def test_keys_that_the_command_line_promises() -> None:
    content = json.loads(to_json(run()))
    assert {"versions", "seconds", "command", "models", "references"} <= set(content)
    for item in content["models"].values():
        assert {"accuracy", "epsilon", "delta", "sparsity", "onnx_bytes", "onnx_max_abs_difference"} <= set(item)
        five = {"l2", "ssim", "identification_rate", "evaluator_confidence", "evaluator_accuracy"}
        assert set(item["attack"]) == five
        assert all(isinstance(value, float) for value in item["attack"].values())
        assert set(item["attack_intervals"]) == five
    assert content["models"]["plain"]["epsilon"] is None
    assert content["models"]["silent"]["epsilon"] == "inf"
    assert content["models"]["dp"]["epsilon"] == 7.98
    assert content["references"]["black"]["l2"] == 1.0
    assert content["seconds"] == 12.5


def test_an_infinite_epsilon_survives() -> None:
    assert from_json(to_json(run())).models["silent"].epsilon == math.inf


@pytest.mark.parametrize("text", ["", "{}", "[1, 2]", '{"format": 1}', '{"format": 99}'])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not the metrics\.json of a run|have format 99"):
        from_json(text)


def test_metrics_are_read_back_from_a_file(tmp_path: Path) -> None:
    write(run(), tmp_path / "metrics.json")
    assert read_metrics(tmp_path / "metrics.json") == run()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "metrics.json"
    target.write_text("old")

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(target, b"new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "absent" / "metrics.json", b"new")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": 95.1}, r"in \[0, 1\]"),
        ({"epsilon": float("nan")}, "epsilon is nan"),
        ({"epsilon": 3.0, "delta": None}, "with a delta"),
        ({"attacks": {}}, "has no attack"),
    ],
    ids=["percent", "not a number", "no delta", "no attack"],
)
def test_results_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(model("m", "public"), **change)  # type: ignore[arg-type]


def test_a_run_without_models_and_a_history_out_of_step_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to report"):
        replace(run(), models={})
    with pytest.raises(ValueError, match="2 entries for 3 steps"):
        History((1, 2, 3), epsilon=(1.0, 2.0))
    with pytest.raises(ValueError, match="must increase"):
        History((1, 1, 3))
