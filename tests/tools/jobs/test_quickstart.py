"""The README's ten lines run as they stand, but for the number of steps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_quickstart_trains_accounts_exports_and_inspects(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    source = re.sub(r"steps=195", "steps=3", blocks[0])
    assert source != blocks[0]
    script = tmp_path / "quickstart.py"
    script.write_text(source)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    epsilon, card = done.stdout.split("\n", 1)
    assert 0.5 < float(epsilon) < 3
    assert "mode: private" in card
    assert (tmp_path / "dp.onnx").stat().st_size > 200_000
