"""``mindveil inspect`` shows what `inspect` finds, file by file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mindveil.tools import inspection
from mindveil.tools.cli.inspect_file import inspect_file


def test_every_file_is_shown_in_order(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(inspection, "inspect", lambda path: f"card of {path}")
    inspect_file([Path("a.onnx"), Path("b.onnx")])
    assert capsys.readouterr().out == "card of a.onnx\n\ncard of b.onnx\n"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone.onnx does not exist or is no file"):
        inspect_file([tmp_path / "gone.onnx"])
