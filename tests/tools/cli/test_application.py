"""The command line as a user meets it: help, exit status, one message for every error, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mindveil import __version__
from mindveil.tools.cli import application as application_module
from mindveil.tools.cli.application import COMMANDS, main, message_of

ROOT = Path(__file__).resolve().parents[3]
NAMES = [name for name, _ in COMMANDS]


def status_of(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert isinstance(end.value.code, int)
    return end.value.code


def failing_command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(application_module, "COMMANDS", (("fail", fail), ("doctor", fail)))


@pytest.fixture(autouse=True)
def keep_signal_handlers() -> object:
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("--help") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_every_command_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(name, "--help") == 0
    text = capsys.readouterr().out
    assert "Example" in text
    assert f"mindveil {name}" in text.split("Example", 1)[1]


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("--version") == 0
    assert capsys.readouterr().out == f"mindveil {__version__}\n"


@pytest.mark.parametrize("words", [["nonsense"], ["inspect"], ["doctor", "--nonsense"]])
def test_wrong_usage_ends_with_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(*words) == 2
    assert "Usage: mindveil" in capsys.readouterr().err


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of() != 0
    text = capsys.readouterr().out
    assert all(name in text for name in NAMES)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("sparsity is 2, and must be in [0, 1)"), "mindveil: sparsity is 2, and must be in [0, 1)"),
        (PermissionError(13, "Permission denied", "/x/y"), "mindveil: /x/y: Permission denied"),
        (FileNotFoundError("x is not there; give a folder"), "mindveil: x is not there; give a folder"),
        (RuntimeError("the graph passes could not be built"), "mindveil: the graph passes could not be built"),
    ],
)
def test_an_error_is_one_message_on_stderr_without_a_traceback(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing_command(monkeypatch, error)
    assert status_of("fail") == 1
    output = capsys.readouterr()
    assert output.err == message + "\n"
    assert output.out == ""


def test_a_fault_of_the_program_is_called_so_and_names_the_option_that_shows_more() -> None:
    message = message_of(KeyError("weight"))
    assert message.startswith("mindveil: internal error: KeyError: 'weight'\n")
    assert "--debug" in message


@pytest.mark.parametrize("words", [("--debug", "fail"), ("fail", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing_command(monkeypatch, ValueError("wrong"))
    assert status_of(*words) == 1
    text = capsys.readouterr().err
    assert "Traceback (most recent call last)" in text
    assert text.endswith("mindveil: wrong\n")


def test_ctrl_c_ends_with_status_130_and_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing_command(monkeypatch, KeyboardInterrupt())
    assert status_of("fail") == 130
    assert capsys.readouterr().err == "mindveil: interrupted; files that were not finished are gone\n"


RUN = """
import os, sys
from pathlib import Path
import mindspore, mindspore.dataset
from mindveil.tools.cli import application
from mindveil.tools.cli.run_folder import RunFolder

def work():
    with RunFolder(Path(sys.argv[1]), "demo") as folder:
        folder.write_text("ledger.jsonl", "{}")
        with folder.new_file("model.onnx") as part:
            part.write_bytes(b"half")
            os.kill(os.getpid(), int(sys.argv[2]))
            while True:
                mindspore.Tensor([1.0]) + 1

application.COMMANDS = (("work", work), ("doctor", work))
application.main(["work"])
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_half_written_behind(number: signal.Signals, status: int, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    line = [sys.executable, "-c", RUN, str(tmp_path), str(int(number))]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert ("mindveil: interrupted" in done.stderr) == (number == signal.SIGINT)
    assert list(tmp_path.iterdir()) == []
