"""Two workers on one machine train as one does on the same examples: same weights, one noise, one budget."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("train.py")
TRAININGS = ("clipped", "masked", "adaptive", "lipschitz", "resumed", "stopped")
Found = dict[str, Any]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def run(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MS_")}
    # msrun starts the ``python`` that comes first, which must be the one of these tests.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What one worker wrote, and what two did."""
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    run([sys.executable, str(SCRIPT), str(alone)])
    msrun = shutil.which("msrun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert msrun, "MindSpore's package brings msrun"
    workers = ["--worker_num=2", "--local_worker_num=2", f"--master_port={free_port()}", "--join=True"]
    run([msrun, *workers, f"--log_dir={together / 'logs'}", str(SCRIPT), str(together)])
    return alone, together


def found(folder: Path, name: str, rank: int = 0) -> Found:
    with np.load(folder / f"{name}-{rank}.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", TRAININGS)
def test_two_workers_end_where_one_does_and_alike_bit_for_bit(folders: tuple[Path, Path], name: str) -> None:
    alone, first, second = found(folders[0], name), found(folders[1], name, 0), found(folders[1], name, 1)
    assert alone.keys() == first.keys() == second.keys()
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key])
        np.testing.assert_allclose(value, alone[key], rtol=1e-4, atol=1e-5)


def test_noise_is_added_once_whatever_the_number_of_workers(folders: tuple[Path, Path]) -> None:
    first, second = found(folders[1], "noised", 0), found(folders[1], "noised", 1)
    moved = first["moved"]
    np.testing.assert_array_equal(moved, second["moved"])
    assert moved.std() == pytest.approx(3.0, rel=7 / np.sqrt(2 * moved.size))  # twice the noise would be 4.24
    assert abs(np.corrcoef(moved[0].ravel(), moved[1].ravel())[0, 1]) < 7 / np.sqrt(moved[0].size)
    assert str(first["released"]) == str(found(folders[0], "noised")["released"])


def test_the_budget_of_the_first_workers_ledger_stops_all_at_the_same_step(folders: tuple[Path, Path]) -> None:
    assert 0 < found(folders[1], "stopped", 1)["steps"] == found(folders[0], "stopped")["steps"] < 100


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("count", ["MismatchError", "for workers=3, but 2 train together"]),
        ("alone", ["MismatchError", "for workers=1, but 2 train together"]),
        ("plain", ["MismatchError", "only DPSGD and LipschitzDP add"]),
        ("late", ["MismatchError", "different numbers of steps"]),
        ("weights", ["MismatchError", "different weights"]),
        ("noise", ["MismatchError", "different settings"]),
        ("early sums", ["PrivacyError", "AllReduce", "it combines examples of several workers", "self.sum(x)"]),
        ("records", ["MismatchError", "a record on two workers would count twice"]),
    ],
)
def test_workers_that_do_not_fit_together_are_refused(folders: tuple[Path, Path], case: str, words: list[str]) -> None:
    for rank in (0, 1):
        said = json.loads((folders[1] / f"refused-{rank}.json").read_text())[case]
        assert all(word in said for word in words), said


def test_only_the_first_worker_keeps_the_ledger_and_another_one_stops_both(folders: tuple[Path, Path]) -> None:
    said = [json.loads((folders[1] / f"refused-{rank}.json").read_text()) for rank in (0, 1)]
    assert "ValueError: the first worker (rank 0) keeps the ledger" in said[1]["ledger"]
    assert "ArithmeticError: no more" in said[0]["broken"]
    assert "PrivacyError: worker 0 stopped (refused)" in said[1]["broken"]
