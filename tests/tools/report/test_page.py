"""The page and the pictures: self-contained, escaped, complete, and honest about what failed."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import image as mpl_image

from mindveil.tools.attacks import CATALOGUE
from mindveil.tools.report import AttackRecord, draw, write_report
from mindveil.tools.report.grid import reconstruction_grid
from mindveil.tools.report.page import render_page

from .runs import IMAGES, pictures, run, scores

VOID = {"meta", "img", "br", "link"}


class Balance(HTMLParser):
    """Fails on tags that close in the wrong order; collects addresses and anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and value:
                self.addresses.append(value)
            if name == "id" and value:
                self.anchors.add(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page() -> str:
    return render_page(run(), {"epsilon": b"png bytes", "reconstructions_seed": b"more", "unused": b"x"})


def test_the_page_is_well_formed_and_needs_nothing_but_itself() -> None:
    parser = Balance()
    parser.feed(page())
    assert parser.open == []
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in parser.addresses)
    assert {address[1:] for address in parser.addresses if address.startswith("#")} <= parser.anchors
    assert not re.search(r"https?://|@import|url\(|<script", page())
    assert 'name="viewport"' in page()


def test_texts_are_escaped() -> None:
    assert "small &lt;run&gt;" in page()
    assert "small <run>" not in page()


def test_the_caveat_stands_before_the_first_number() -> None:
    text = page()
    assert text.index("One training, no claim") < text.index("<table")


def test_every_number_of_the_models_is_there() -> None:
    text = page()
    for piece in (
        "95.1 %",
        "247.6 kB",
        "3.2e-06",
        "7.98",
        "at delta 1e-5",
        "infinite",
        "no claim",
        "95.0 %",
        "ab" * 32,
    ):
        assert piece in text, piece
    assert "Chance is 0.50 %" in text
    assert "-0.100 *" in text


def test_targets_trained_on_stand_beside_the_others_where_that_is_known() -> None:
    meaning = page().split('id="meaning"')[1].split("</section>")[0]
    assert "55.0 %" in meaning
    assert "45.0 %" in meaning
    plain = run().models["plain"]
    unknown = replace(plain, attacks={"seed": plain.attacks["seed"]})
    assert "Trained on, and not" not in render_page(replace(run(), models={"plain": unknown}), {})


def test_no_word_of_a_verdict() -> None:
    assert not re.search(r"\b(protected|protects|secure|guaranteed|robust)\b", page(), re.IGNORECASE)


def test_attacks_that_did_not_run_are_listed_from_the_table() -> None:
    section = page().split('id="not-tested"')[1].split("</section>")[0]
    for entry in CATALOGUE:
        assert (entry.title in section) == (entry.name not in ("seed", "ridge")), entry.name


def test_a_weak_attack_is_called_weak() -> None:
    checks = page().split('id="checks"')[1].split("</section>")[0]
    assert "prefers a wrong image" in checks
    assert "Ordinary: gradients against none" in checks
    assert "nearer in L2 than the attack: class mean" in checks


def test_a_sound_attack_is_not_called_weak() -> None:
    results = run()
    strong = {"seed": AttackRecord(scores(1.0, 0.1), 1.0, true_loss=0.1, found_loss=0.2)}
    models = {"plain": replace(results.models["plain"], attacks=strong)}
    checks = render_page(replace(results, models=models), {}).split('id="checks"')[1].split("</section>")[0]
    assert "check holds" in checks
    assert "check fails" not in checks
    assert "the search, not its aim" in checks


def test_pictures_are_pngs_and_drawing_leaves_matplotlibs_settings_alone() -> None:
    before = dict(mpl.rcParams)
    drawn = draw(run(), pictures())
    assert dict(mpl.rcParams) == before
    assert set(drawn) == {
        "reconstructions_seed",
        "reconstructions_ridge",
        "accuracy_leakage",
        "epsilon",
        "sparsity",
        "attack_loss",
    }
    for png in drawn.values():
        sheet = mpl_image.imread(io.BytesIO(png))
        assert sheet.shape[0] > 300
        assert sheet[..., :3].std() > 0.01


def test_the_same_results_give_the_same_bytes() -> None:
    assert draw(run(), pictures()) == draw(run(), pictures())


def test_the_first_targets_are_shown_and_the_rows_are_in_order() -> None:
    ramp = np.stack([np.full((1, 16, 16), value, np.float32) for value in np.linspace(0, 1, 12)])
    png = reconstruction_grid(ramp, {"Half": ramp / 2}, title="t", columns=4)
    sheet = mpl_image.imread(io.BytesIO(png))[..., 0]
    top = sheet[int(sheet.shape[0] * 0.4)]  # a line through the originals: 0, 1/11, 2/11, 3/11 in grey
    greys = {round(float(value), 2) for value in top}
    assert {0.0, 0.09, 0.18, 0.27} <= greys
    assert 0.36 not in greys
    below = sheet[int(sheet.shape[0] * 0.8)]
    for grey in (0.5 / 11, 1.5 / 11):
        assert np.abs(below - grey).min() < 0.005


def test_a_row_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="row 'Other'"):
        reconstruction_grid(IMAGES, {"Other": IMAGES[:3]}, title="t")


def test_colour_images_are_drawn() -> None:
    colour = np.random.default_rng(0).random((2, 3, 8, 8))
    assert reconstruction_grid(colour, {"Same": colour}, title="t").startswith(b"\x89PNG")


def test_the_report_is_written_with_everything_beside_it(tmp_path: Path) -> None:
    path = write_report(tmp_path, run(), pictures())
    names = {item.name for item in tmp_path.iterdir()}
    assert path == tmp_path / "report.html"
    assert {"metrics.json", "report.html", "epsilon.png", "sparsity.png", "reconstructions_seed.png"} <= names
    assert not [name for name in names if name.endswith(".part")]
    assert path.read_text().count("data:image/png") == 6


def test_a_missing_folder_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make it before"):
        write_report(tmp_path / "absent", run(), pictures())
    assert not list(tmp_path.iterdir())
