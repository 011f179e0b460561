"""The example script runs, and says what it spent and how it judges."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_quick_start_trains_an_epoch(tmp_path: Path) -> None:
    script = ROOT / "examples" / "lipdp_mnist.py"
    done = subprocess.run([sys.executable, str(script), "2"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    spent = [float(text) for text in re.findall(r"'epsilon': ([0-9.]+)", done.stderr)]
    assert len(spent) == 2
    assert 0 < spent[0] < spent[1] < 8
    accuracy = re.search(r"accuracy ([0-9.]+)", done.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.3
