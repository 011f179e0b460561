"""The ledger file: what it holds, what it refuses, and that no byte of it can be changed unseen."""

import math
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from mindveil.accountant import (
    BudgetExceeded,
    Composed,
    Gaussian,
    Ledger,
    LedgerError,
    NonPrivate,
    PoissonSampled,
    Sequence,
    decayed_noise,
    epsilon,
    spent_together,
    steps_within,
)
from mindveil.accountant.checks import Relation

STEP = PoissonSampled(256 / 60_000, Gaussian(1.1))


def new(path: Path, relation: Relation = "add_or_remove_one", size: int = 60_000) -> Ledger:
    return Ledger.create(path, dataset_id="mnist", dataset_size=size, neighbouring=relation)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def test_a_ledger_remembers_all_it_was_told(path: Path) -> None:
    with Ledger.create(path, dataset_id="mnist", dataset_size=60_000, target_epsilon=3.0, target_delta=1e-5) as ledger:
        ledger.append(STEP)
        ledger.append(STEP, count=9)
        ledger.append(Gaussian(3.0))
        before = (ledger.head, ledger.records, ledger.spent, ledger.epsilon(1e-5), ledger.run)
    with Ledger.open(path) as again:
        assert (again.head, again.records, again.spent, again.epsilon(1e-5), again.run) == before
        assert again.spent == Sequence([Composed(STEP, 10), Composed(Gaussian(3.0), 1)])
        assert (again.dataset_id, again.dataset_size, again.neighbouring) == ("mnist", 60_000, "add_or_remove_one")
        assert (again.target_epsilon, again.target_delta, again.filter_order) == (3.0, 1e-5, None)
        assert again.records == 3


def test_an_empty_ledger_has_spent_nothing(path: Path) -> None:
    with new(path) as ledger:
        assert ledger.epsilon(1e-5) == 0.0
        assert ledger.spent == Sequence([])
        assert len(ledger.head) == 64


def test_a_ledger_is_never_begun_anew(path: Path) -> None:
    new(path).close()
    with pytest.raises(FileExistsError):
        new(path)


def test_the_running_epsilon_is_the_epsilon_of_what_was_spent(path: Path) -> None:
    with new(path) as ledger:
        for event in decayed_noise(
            noise_multiplier=1.5, decay="Exp", decay_rate=1e-2, sampling_rate=0.01, steps=40
        ).events:
            ledger.append(event)
            exact = epsilon(ledger.spent, 1e-5)
            assert exact * (1 - 1e-9) <= ledger.epsilon(1e-5) <= exact * 1.02


def test_an_exhausted_budget_stops_before_the_step_that_would_overspend(path: Path) -> None:
    allowed = steps_within(target_epsilon=0.9, delta=1e-5, sampling_rate=STEP.rate, noise_multiplier=1.1)
    with Ledger.create(path, dataset_id="mnist", dataset_size=60_000, target_epsilon=0.9, target_delta=1e-5) as ledger:
        ledger.append(STEP, count=allowed - 3)
        for _ in range(3):
            ledger.append(STEP)
        content = path.read_bytes()
        with pytest.raises(BudgetExceeded, match=r"would exceed epsilon 0\.9"):
            ledger.append(STEP)
        assert path.read_bytes() == content
        assert ledger.spent == Sequence([Composed(STEP, allowed)])
        assert epsilon(ledger.spent, 1e-5) <= 0.9 < epsilon(Composed(STEP, allowed + 1), 1e-5)
        with pytest.raises(BudgetExceeded):
            ledger.append(NonPrivate())


def test_a_target_survives_reopening(path: Path) -> None:
    with Ledger.create(path, dataset_id="mnist", dataset_size=60_000, target_epsilon=0.9, target_delta=1e-5) as ledger:
        ledger.append(STEP, count=10)
    with Ledger.open(path) as again, pytest.raises(BudgetExceeded):
        again.append(STEP, count=100_000)


def test_without_a_target_a_release_without_noise_costs_everything(path: Path) -> None:
    with new(path) as ledger:
        ledger.append(NonPrivate())
        assert ledger.epsilon(1e-5) == math.inf


def test_a_spending_is_synced_to_disk_before_append_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    with new(path) as ledger:
        monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.read_bytes()))
        ledger.append(STEP)
        assert len(synced) == 1
        assert b"PoissonSampled" in synced[0]


def test_after_a_failed_write_the_ledger_must_be_opened_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with new(path) as ledger:
        ledger.append(STEP)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda _, line: len(line) - 7)
            with pytest.raises(OSError, match="disk may be full"):
                ledger.append(STEP)
        with pytest.raises(LedgerError, match="closed"):
            ledger.append(STEP)
    with Ledger.open(path) as again:
        again.append(STEP)
        assert again.spent == Sequence([Composed(STEP, 2)])


def test_two_writers_are_refused(path: Path) -> None:
    with new(path), pytest.raises(LedgerError, match="open for writing elsewhere"):
        Ledger.open(path)


def test_a_closed_ledger_spends_nothing(path: Path) -> None:
    ledger = new(path)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.append(STEP)


@pytest.mark.parametrize(("count", "error"), [(0, ValueError), (-1, ValueError), (True, TypeError), (1.0, TypeError)])
def test_nonsense_counts_are_refused(path: Path, count: int, error: type[Exception]) -> None:
    with new(path) as ledger, pytest.raises(error, match="count"):
        ledger.append(STEP, count=count)


def test_an_older_checkpoint_rewinds_nothing(path: Path) -> None:
    with new(path) as ledger:
        ledger.append(STEP, count=5)
        saved = ledger.head
        ledger.append(STEP, count=5)
    with Ledger.open(path, head=saved) as again:
        assert again.spent == Sequence([Composed(STEP, 10)])


def test_a_ledger_shortened_behind_a_checkpoint_is_refused(path: Path) -> None:
    with new(path) as ledger:
        ledger.append(STEP)
        shorter = path.read_bytes()
        ledger.append(STEP)
        saved = ledger.head
    path.write_bytes(shorter)
    with pytest.raises(LedgerError, match="shortened"):
        Ledger.open(path, head=saved)


def test_runs_on_the_same_data_add_up(path: Path, tmp_path: Path) -> None:
    with new(path) as first, new(tmp_path / "second.jsonl") as second:
        first.append(STEP, count=700)
        second.append(STEP, count=300)
        both = spent_together([first, second])
        assert epsilon(both, 1e-5) == pytest.approx(epsilon(Composed(STEP, 1000), 1e-5), rel=1e-12)
        with pytest.raises(LedgerError, match="twice"):
            spent_together([first, first])


def test_runs_that_differ_do_not_add_up(path: Path, tmp_path: Path) -> None:
    with (
        new(path) as first,
        new(tmp_path / "b", relation="replace_one") as second,
        new(tmp_path / "c", size=9) as third,
    ):
        with pytest.raises(LedgerError, match="neighbouring is 'add_or_remove_one'"):
            spent_together([first, second])
        with pytest.raises(LedgerError, match="dataset_size is 60000"):
            spent_together([first, third])


def test_a_copy_counts_as_the_same_run(path: Path, tmp_path: Path) -> None:
    with new(path) as first:
        first.append(STEP)
        shutil.copy(path, tmp_path / "copy")
        with Ledger.open(tmp_path / "copy") as copy, pytest.raises(LedgerError, match="twice"):
            spent_together([first, copy])


def test_a_filter_ledger_keeps_to_its_order(path: Path) -> None:
    with Ledger.create(
        path, dataset_id="d", dataset_size=100, target_epsilon=1.0, target_delta=1e-5, filter_order=12.0
    ) as ledger:
        allowed = 0
        with suppress(BudgetExceeded):
            while allowed < 10_000:
                ledger.append(STEP, count=50)
                allowed += 50
        assert 0 < allowed < 10_000
        assert ledger.filter_order == 12.0
        # The order was fixed, so less was spent than the best order would have allowed.
        assert epsilon(ledger.spent, 1e-5) <= ledger.epsilon(1e-5) <= 1.0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dataset_id": ""}, TypeError, "dataset_id"),
        ({"dataset_size": 0}, ValueError, "dataset_size"),
        ({"dataset_size": True}, TypeError, "dataset_size"),
        ({"target_epsilon": 1.0}, ValueError, "both or neither"),
        ({"target_epsilon": -1.0, "target_delta": 1e-5}, ValueError, "target_epsilon"),
        ({"target_epsilon": 1.0, "target_delta": 1.0}, ValueError, "delta"),
        ({"neighbouring": "replace"}, ValueError, "add_or_remove_one, replace_one, zero_out"),
        ({"filter_order": 1.0}, ValueError, "filter_order"),
    ],
)
def test_nonsense_headers_are_refused(
    path: Path, options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Ledger.create(path, **{"dataset_id": "d", "dataset_size": 10, **options})  # type: ignore[arg-type]
    assert not path.exists()
