"""A run's folder holds a complete run or what it held before, whatever happens in between."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mindveil.tools.cli.run_folder import MARKER, RunFolder, RunFolderError


def finish(runs: Path, text: str = "first", **options: bool) -> None:
    with RunFolder(runs, "demo", **options) as folder:
        folder.write_text("report.html", text)
        folder.write_json(MARKER, {"accuracy": 0.5})


def fail(runs: Path, error: BaseException, **options: bool) -> None:
    """A run that has written one file when it meets an error, and half of another."""
    with RunFolder(runs, "demo", **options) as folder:
        folder.write_text("ledger.jsonl", "{}")
        with folder.new_file("plain.onnx") as part:
            part.write_bytes(b"half")
            raise error


def write(runs: Path, *files: str) -> None:
    with RunFolder(runs, "demo") as folder:
        for file in files:
            folder.write_text(file, "x")


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_finished_run_lies_under_its_name_with_its_files(tmp_path: Path) -> None:
    finish(tmp_path / "runs")
    assert names(tmp_path) == {"runs", "runs/demo", "runs/demo/report.html", f"runs/demo/{MARKER}"}
    assert json.loads((tmp_path / "runs/demo" / MARKER).read_text()) == {"accuracy": 0.5}


def test_nothing_lies_under_the_name_before_the_run_is_finished(tmp_path: Path) -> None:
    with RunFolder(tmp_path, "demo") as folder:
        folder.write_text(MARKER, "{}")
        assert not folder.final.exists()
    assert folder.final.exists()


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt(), SystemExit(1)])
def test_an_error_takes_the_files_away_and_comes_through(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)):
        fail(tmp_path, error)
    assert names(tmp_path) == set()


def test_a_file_that_was_not_finished_is_gone_and_the_complete_ones_are_kept_when_asked_for(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path, KeyboardInterrupt(), keep_unfinished=True)
    assert names(tmp_path) == {"demo.unfinished", "demo.unfinished/ledger.jsonl"}


def test_an_unfinished_run_can_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"):
        fail(tmp_path, ValueError("stop"), keep_unfinished=True)
    with RunFolder(tmp_path, "demo", resume=True) as folder:
        assert (folder.path / "ledger.jsonl").read_text() == "{}"
        folder.write_text(MARKER, "{}")
    assert names(tmp_path) == {"demo", "demo/ledger.jsonl", f"demo/{MARKER}"}


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    old = tmp_path / "demo.unfinished" / "pictures"
    old.mkdir(parents=True)
    (old / ".part-a.png").touch()
    (tmp_path / "demo.unfinished" / "old.onnx").touch()
    finish(tmp_path)
    assert names(tmp_path) == {"demo", "demo/report.html", f"demo/{MARKER}"}


def test_resuming_removes_half_written_files_only(tmp_path: Path) -> None:
    old = tmp_path / "demo.unfinished" / "pictures"
    old.mkdir(parents=True)
    (old / ".part-a.png").touch()
    (old / "b.png").touch()
    with RunFolder(tmp_path, "demo", resume=True) as folder:
        folder.write_text(MARKER, "{}")
    assert names(tmp_path / "demo") == {"pictures", "pictures/b.png", MARKER}


def test_a_finished_run_is_not_replaced_unless_told(tmp_path: Path) -> None:
    finish(tmp_path)
    with pytest.raises(RunFolderError, match=r"demo holds a finished run; choose another name, or say --overwrite"):
        finish(tmp_path, "second")
    assert (tmp_path / "demo/report.html").read_text() == "first"
    finish(tmp_path, "second", overwrite=True)
    assert (tmp_path / "demo/report.html").read_text() == "second"
    assert names(tmp_path) == {"demo", "demo/report.html", f"demo/{MARKER}"}


def test_an_error_while_replacing_keeps_the_finished_run(tmp_path: Path) -> None:
    finish(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path, KeyboardInterrupt(), overwrite=True)
    assert (tmp_path / "demo/report.html").read_text() == "first"
    assert names(tmp_path) == {"demo", "demo/report.html", f"demo/{MARKER}"}


def test_a_failed_rename_puts_the_finished_run_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(tmp_path)
    rename = os.rename

    def full(source: Path, target: Path) -> None:
        if source.name == "demo.unfinished":
            raise OSError(28, "No space left on device", str(target))
        rename(source, target)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(RunFolderError, match=r"demo cannot be written: No space left on device"):
        finish(tmp_path, "second", overwrite=True)
    assert (tmp_path / "demo/report.html").read_text() == "first"


def test_a_folder_of_the_users_own_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.tex").touch()
    with pytest.raises(RunFolderError, match=rf"demo exists and is no run \(it holds no {MARKER}\)"):
        finish(tmp_path, overwrite=True)
    assert names(tmp_path) == {"demo", "demo/thesis.tex"}


def test_a_run_without_its_metrics_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=rf"holds no {MARKER}, without which no run is complete"):
        write(tmp_path, "report.html")
    assert names(tmp_path) == set()


def test_two_processes_cannot_write_one_run(tmp_path: Path) -> None:
    with RunFolder(tmp_path, "demo") as first:
        first.write_text("ledger.jsonl", "{}")
        with pytest.raises(RunFolderError, match=r"another process is writing .*demo.unfinished"):
            RunFolder(tmp_path, "demo").__enter__()
        assert (first.path / "ledger.jsonl").read_text() == "{}"
        first.write_text(MARKER, "{}")
    assert names(tmp_path / "demo") == {"ledger.jsonl", MARKER}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp/x", ".hidden", "x.unfinished"])
def test_a_name_that_is_no_folder_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"the run's name is .*, and must be a single folder name"):
        RunFolder(tmp_path, name)


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", ""])
def test_a_file_outside_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"the file's name is .*, and must lie within"):
        write(tmp_path, name)
    assert names(tmp_path) == set()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(RunFolderError, match=r"demo.unfinished cannot be written: Not a directory; choose another"):
        finish(tmp_path / "runs")
    assert names(tmp_path) == {"runs"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunFolderError, match=r"cannot be written: Permission denied"):
        finish(tmp_path)


def test_files_keep_their_ending_while_they_are_written_and_may_lie_in_sub_folders(tmp_path: Path) -> None:
    with RunFolder(tmp_path, "demo") as folder:
        with folder.new_file("pictures/curve.png") as part:
            assert part.suffix == ".png"
            assert part.parent == folder.path / "pictures"
            part.write_bytes(b"png")
        assert (folder.path / "pictures/curve.png").read_bytes() == b"png"
        folder.write_text(MARKER, "{}")
    assert names(tmp_path / "demo") == {"pictures", "pictures/curve.png", MARKER}


def test_a_file_that_nobody_wrote_is_an_error(tmp_path: Path) -> None:
    with RunFolder(tmp_path, "demo") as folder:
        with pytest.raises(RunFolderError, match=r"x.onnx cannot be written: No such file"), folder.new_file("x.onnx"):
            pass
        folder.write_text(MARKER, "{}")
    assert names(tmp_path / "demo") == {MARKER}


def test_an_error_of_the_writer_comes_through_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^no such data$"):
        fail(tmp_path, FileNotFoundError("no such data"))


def test_json_refuses_numbers_that_are_not_finite(tmp_path: Path) -> None:
    with RunFolder(tmp_path, "demo") as folder:
        with pytest.raises(ValueError, match="Out of range float"):
            folder.write_json("numbers.json", {"loss": float("nan")})
        folder.write_text(MARKER, "{}")
    assert names(tmp_path / "demo") == {MARKER}
