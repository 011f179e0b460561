"""The whole job on tiny data: every file that is promised, numbers that agree with each other, and clean failures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindveil.accountant import Ledger
from mindveil.runtime.datasets import embedded_mnist
from mindveil.tools import inspect
from mindveil.tools.attacks import ModelRunner

ROOT = Path(__file__).resolve().parents[3]
TINY = """
[public]
epochs = 1
batch_size = 64
[suppressed]
epochs = 2
batch_size = 64
[private]
batch_size = 100
steps = 5
[attack]
images = 12
iterations = 5
"""
NETWORK = """
from mindspore import nn

def make():
    return nn.SequentialCell(
        nn.Conv2d(1, 4, 5, stride=2, pad_mode="valid"), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Dense(784, 10)
    )
"""


NAMES = ["plain", "suppressed", "dp", "suppressed_dp"]
LAYERS = tuple(f"{layer}.weight" for layer in ("conv1", "conv2", "fc1", "fc2", "fc3"))


def mindveil(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """One command, as a user would type it in ``folder``."""
    return subprocess.run(
        command(*words), cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )


def command(*words: str) -> list[str]:
    """The words of a process that runs ``mindveil``."""
    return [sys.executable, "-c", "from mindveil.tools.cli import main; main()", *words]


def environment(folder: Path) -> dict[str, str]:
    """The environment of that process; modules in ``folder`` can be imported."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(folder)]), "COLUMNS": "120"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few hundred real images as an archive."""
    images = embedded_mnist()
    where = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(
        where,
        train_images=images.train_images[:400],
        train_labels=images.train_labels[:400],
        test_images=images.test_images[:200],
        test_labels=images.test_labels[:200],
    )
    return where


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[Path, str]:
    """The folder of a finished demo, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "tiny.toml").write_text(TINY)
    done = mindveil("demo", "tiny.toml", "--data", str(data), "--name", "tiny", folder=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "runs" / "tiny", done.stdout + done.stderr


def metrics(folder: Path) -> dict[str, Any]:
    """``metrics.json`` of a run."""
    read: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return read


def test_every_promised_file_is_there(run: tuple[Path, str]) -> None:
    folder, printed = run
    names = {p.name for p in folder.iterdir()}
    wanted = {"metrics.json", "report.html", "ledger.jsonl", "ledger_suppressed_dp.jsonl", "evaluator.onnx"}
    wanted |= {f"{m}.{ending}" for m in NAMES for ending in ("onnx", "ckpt")}
    assert wanted <= names
    assert len([n for n in names if n.endswith(".png")]) >= 6
    assert not [n for n in names if n.startswith(".") or n.endswith(".partial")]
    assert "report.html" in printed
    assert "epsilon" in printed


def test_the_metrics_have_the_promised_form_and_agree_with_the_files(run: tuple[Path, str], data: Path) -> None:
    folder, _ = run
    found = metrics(folder)
    assert list(found["models"]) == NAMES
    archive = np.load(data)
    for name, model in found["models"].items():
        file = folder / f"{name}.onnx"
        assert model["onnx_bytes"] == file.stat().st_size
        assert set(model["attack"]) == {
            "l2",
            "ssim",
            "identification_rate",
            "evaluator_confidence",
            "evaluator_accuracy",
        }
        right = ModelRunner.of(file)(archive["test_images"]).argmax(1) == archive["test_labels"]
        assert model["accuracy"] == pytest.approx(right.mean())
        assert model["onnx_max_abs_difference"] < 1e-3
    plain, suppressed, dp, both = found["models"].values()
    assert plain["epsilon"] is None
    assert suppressed["epsilon"] is None
    assert 0.94 <= suppressed["sparsity"] <= 0.96
    assert 7.5 < dp["epsilon"] <= 8
    assert dp["delta"] == both["delta"] == 1e-5
    assert both["epsilon"] == dp["epsilon"]
    assert 0.94 <= both["sparsity"] <= 0.96
    assert both["onnx_bytes"] < plain["onnx_bytes"] / 4
    assert suppressed["onnx_bytes"] < plain["onnx_bytes"] / 4
    assert {"black", "class_mean", "random_same_class"} <= set(found["references"])
    assert {"versions", "seconds", "command"} <= set(found)
    assert found["command"].startswith("mindveil")


@pytest.mark.parametrize(
    ("name", "file", "passes"),
    [
        ("dp", "ledger.jsonl", ("clip", "noise", "average")),
        ("suppressed_dp", "ledger_suppressed_dp.jsonl", ("clip", "noise", "mask", "average")),
    ],
)
def test_the_ledger_holds_what_the_card_says(
    run: tuple[Path, str], name: str, file: str, passes: tuple[str, ...]
) -> None:
    folder, _ = run
    card = inspect(folder / f"{name}.onnx").card
    with Ledger.open(folder / file) as ledger:
        assert ledger.records == 5
        assert card is not None
        assert card.epsilon == pytest.approx(ledger.epsilon(1e-5), rel=1e-6)
        assert card.ledger_head == ledger.head
    assert card.passes[: len(passes)] == passes
    assert card.masked == (LAYERS if name == "suppressed_dp" else ())


def test_the_report_stands_alone(run: tuple[Path, str]) -> None:
    page = (run[0] / "report.html").read_text()
    assert "One training, no claim" in page
    assert 'src="http' not in page
    assert page.count("data:image/png;base64") >= 6


def test_a_network_of_the_users_own_is_trained_exported_and_attacked(tmp_path: Path, data: Path) -> None:
    (tmp_path / "mynets.py").write_text(NETWORK)
    (tmp_path / "tiny.toml").write_text(TINY)
    done = mindveil(
        "train",
        "tiny.toml",
        "--network",
        "mynets:make",
        "--data",
        str(data),
        "--name",
        "own",
        "--epsilon",
        "4",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = metrics(tmp_path / "runs" / "own")
    assert list(found["models"]) == ["dp"]
    assert 3.5 < found["models"]["dp"]["epsilon"] <= 4
    again = mindveil(
        "export", "runs/own/dp.ckpt", "again.onnx", "--network", "mynets:make", "--shape", "1,32,32", folder=tmp_path
    )
    assert again.returncode == 0, again.stderr
    attacked = mindveil(
        "attack", "again.onnx", "--data", str(data), "--images", "6", "--iterations", "3", folder=tmp_path
    )
    assert attacked.returncode == 0, attacked.stderr
    assert "class mean" in attacked.stdout
    twice = mindveil(
        "train", "tiny.toml", "--network", "mynets:make", "--data", str(data), "--name", "own", folder=tmp_path
    )
    assert twice.returncode == 1
    assert "holds a finished run" in twice.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demo", "--data", "nowhere"], "nowhere"),
        (["train", "--network", "no.such:thing"], "cannot be loaded"),
        (["train", "--mode", "secret"], "must be one of public, suppressed, private, suppressed-private or all"),
        (["demo", "--runs", "/proc/nothing"], "cannot be written"),
        (["explain", "--shape", "one"], "whole numbers above 0"),
    ],
)
def test_bad_input_ends_with_one_clear_message(tmp_path: Path, words: list[str], message: str) -> None:
    done = mindveil(*words, folder=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.onnx"))


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path, data: Path) -> None:
    (tmp_path / "slow.toml").write_text(TINY.replace("epochs = 1\n", "epochs = 500\n"))
    process = subprocess.Popen(
        command("demo", "slow.toml", "--data", str(data)),
        cwd=tmp_path,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "runs" / "demo.unfinished").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(8)  # well inside the training of the first model
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    # While MindSpore compiles, it turns Ctrl-C into a termination signal.
    assert process.returncode in (130, 143)
    assert ("interrupted" if process.returncode == 130 else "terminated") + "; files that were not finished" in errors
    assert "Traceback" not in errors
    assert list((tmp_path / "runs").iterdir()) == []
