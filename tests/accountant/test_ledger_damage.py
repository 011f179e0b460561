"""A damaged ledger: no byte can be changed unseen, and a line that a crash cut off counts as one step."""

from pathlib import Path

import pytest

from mindveil.accountant import Composed, Gaussian, Ledger, LedgerError, PoissonSampled, Sequence
from mindveil.accountant.records import scan

STEP = PoissonSampled(256 / 60_000, Gaussian(1.1))


def new(path: Path) -> Ledger:
    return Ledger.create(path, dataset_id="mnist", dataset_size=60_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def whole(path: Path) -> bytes:
    with new(path) as ledger:
        ledger.append(STEP, count=3)
        ledger.append(Gaussian(2.0))
    return path.read_bytes()


def test_every_single_byte_change_shows(whole: bytes) -> None:
    assert len(scan(whole).entries) == 2
    for position in range(len(whole)):
        for flip in (0x01, 0x02, 0x10, 0x20, 0x80, 0xFF):
            content = bytearray(whole)
            content[position] ^= flip
            with pytest.raises(LedgerError):
                scan(bytes(content))


def test_every_removed_or_doubled_byte_shows(whole: bytes) -> None:
    for position in range(len(whole) - 1):
        for content in (whole[:position] + whole[position + 1 :], whole[: position + 1] + whole[position:]):
            with pytest.raises(LedgerError):
                scan(content)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.33, 0.5, 0.8, 0.97])
def test_a_changed_file_does_not_open(path: Path, whole: bytes, share: float) -> None:
    content = bytearray(whole)
    content[int(share * len(whole))] ^= 0x04
    path.write_bytes(content)
    with pytest.raises(LedgerError):
        Ledger.open(path)
    assert path.read_bytes() == content


def test_lines_exchanged_removed_or_copied_from_another_run_show(path: Path, tmp_path: Path) -> None:
    with new(path) as ledger:
        for noise in (1.0, 2.0, 3.0):
            ledger.append(Gaussian(noise))
    with new(tmp_path / "other.jsonl") as other:
        for noise in (1.0, 2.0, 3.0):
            other.append(Gaussian(noise))
    lines, others = path.read_bytes().splitlines(True), (tmp_path / "other.jsonl").read_bytes().splitlines(True)
    for content in (
        [lines[0], lines[2], lines[1], lines[3]],
        [lines[0], lines[2], lines[3]],
        [lines[0], lines[1], lines[1], lines[2], lines[3]],
        [lines[0], lines[1], others[2], others[3]],
        [others[0], *lines[1:]],
    ):
        path.write_bytes(b"".join(content))
        with pytest.raises(LedgerError):
            Ledger.open(path)


def test_a_line_cut_off_anywhere_counts_as_one_step(path: Path, tmp_path: Path) -> None:
    with new(path) as ledger:
        ledger.append(STEP, count=3)
        complete = len(path.read_bytes())
        ledger.append(STEP)
    whole = path.read_bytes()
    for end in range(complete + 1, len(whole) - 1):
        assert scan(whole[:end]).torn == whole[complete:end]
    for end in (complete + 1, complete + 30, complete + 150, len(whole) - 2):
        torn = tmp_path / "torn.jsonl"
        torn.write_bytes(whole[:end])
        with Ledger.open(torn) as again:
            assert again.spent == Sequence([Composed(STEP, 4)])
            again.append(Gaussian(2.0))
        with Ledger.open(torn) as once_more:
            assert once_more.spent == Sequence([Composed(STEP, 4), Composed(Gaussian(2.0), 1)])


def test_a_first_spending_cut_off_leaves_a_ledger_that_opens(path: Path) -> None:
    with new(path) as ledger:
        complete = len(path.read_bytes())
        ledger.append(STEP)
    path.write_bytes(path.read_bytes()[: complete + 40])
    with Ledger.open(path) as again:
        again.append(STEP)
        assert again.spent == Sequence([Composed(STEP, 1)])


@pytest.mark.parametrize("content", [b"", b"{}\n", b"not json\n", b"[1]\n", b'{"format":"mindveil-ledger-1"'])
def test_files_that_are_no_ledgers_are_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(LedgerError):
        Ledger.open(path)
