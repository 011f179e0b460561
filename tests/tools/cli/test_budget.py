"""``mindveil budget`` prints what the accountant says, for every combination asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mindveil.accountant import Composed, Gaussian, PoissonSampled, epsilon
from mindveil.tools.cli.budget import budget


def rows(text: str) -> list[list[str]]:
    """The table's cells, without its head."""
    return [line.replace(",", "").split() for line in text.split("\n\n")[0].splitlines()[1:]]


def test_the_table_holds_the_accountants_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    budget(records=60_000, batch=[256], epochs=[60], noise=[1.1], delta=1e-5)
    run = Composed(PoissonSampled(256 / 60_000, Gaussian(1.1)), 14_063)
    wanted = [f"{epsilon(run, 1e-5):.4f}", f"{epsilon(run, 1e-5, method='pld'):.4f}"]
    assert rows(capsys.readouterr().out) == [["a", "1.1", "256", "0.004267", "60", "14063", *wanted]]


def test_there_is_a_row_for_every_combination(capsys: pytest.CaptureFixture[str]) -> None:
    budget(records=4000, batch=[100, 500], epochs=[1, 2], noise=[1.0, 2.0])
    assert [row[1:5:3] + row[2:3] for row in rows(capsys.readouterr().out)] == [
        [noise, epochs, batch] for batch in ("100", "500") for epochs in ("1", "2") for noise in ("1", "2")
    ]


def test_there_is_a_curve_for_every_choice_and_the_dearest_ends_on_top(capsys: pytest.CaptureFixture[str]) -> None:
    budget(records=4000, batch=[100], epochs=[2], noise=[2.0, 1.0, 1.5])
    plot = capsys.readouterr().out.split("one record\n")[1].splitlines()
    assert plot[0].rstrip().endswith("b")
    assert {letter for line in plot for letter in line} & set("abcdef") == {"a", "b", "c"}


def test_a_target_is_kept_and_hardly_undercut(capsys: pytest.CaptureFixture[str]) -> None:
    budget(records=4000, batch=[512], epochs=[25], epsilon=[8.0, 2.0])
    spent = [float(row[6]) for row in rows(capsys.readouterr().out)]
    assert 7.9 < spent[0] <= 8
    assert 1.98 < spent[1] <= 2


def test_without_options_there_is_an_answer_too(capsys: pytest.CaptureFixture[str]) -> None:
    budget()
    assert [row[1] for row in rows(capsys.readouterr().out)] == ["0.8", "1.1", "1.5"]


def test_the_plot_is_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    budget(records=4000, batch=[512], epochs=[5], noise=[1.0], plot=tmp_path / "budget.png")
    assert (tmp_path / "budget.png").read_bytes().startswith(b"\x89PNG")
    assert "budget.png written" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 1


def test_a_delta_of_one_record_or_more_is_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    budget(records=4000, batch=[512], epochs=[1], noise=[1.0], delta=1e-3)
    assert "warning: delta is 0.001, and should be far below 1 / 4000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": [1.0], "epsilon": [3.0]}, r"--noise and --epsilon were both given"),
        ({"noise": [1.0] * 13}, r"these are 13 choices, and at most 12"),
        ({"plot": Path("x.svg")}, r"--plot is x.svg, and must end in .png"),
        ({"batch": [70_000]}, r"batch_size"),
        ({"noise": [0.0]}, r"noise_multiplier"),
        ({"epochs": [-1.0]}, r"epochs"),
        ({"delta": 0.0}, r"delta"),
        ({"epsilon": [-1.0]}, r"epsilon"),
    ],
)
def test_choices_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        budget(**options)
