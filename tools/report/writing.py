"""Writes a run's metrics, pictures and page into its folder, each file whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mindveil.tools.attacks.catalogue import entry
from mindveil.tools.report.curves import LossCurve, epsilon_curve, loss_curves, sparsity_curve
from mindveil.tools.report.files import write_atomically
from mindveil.tools.report.grid import reconstruction_grid
from mindveil.tools.report.page import render_page
from mindveil.tools.report.plane import accuracy_against_leakage
from mindveil.tools.report.results import RunResults
from mindveil.tools.report.serialised import to_json

__all__ = ["PictureData", "draw", "write_report"]


@dataclass(frozen=True, slots=True, eq=False)
class PictureData:
    """The arrays behind the pictures.

    Attributes:
        originals: (N, C, H, W), the targets in their order.
        reconstructions: by attack, then by model: (N, C, H, W).
        references: images of reference rows that stand below the models, by label: (N, C, H, W).
        loss_curves: of the seed attack, by model.
        columns: how many targets a picture shows, from the first one on.
    """

    originals: NDArray[Any]
    reconstructions: Mapping[str, Mapping[str, NDArray[Any]]]
    references: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    loss_curves: Mapping[str, LossCurve] = field(default_factory=dict)
    columns: int = 10


def draw(results: RunResults, data: PictureData) -> dict[str, bytes]:
    """Every picture of the report as PNG bytes, by name."""
    pictures: dict[str, bytes] = {}
    for attack, by_model in data.reconstructions.items():
        rows = {model.title: by_model[name] for name, model in results.models.items() if name in by_model}
        pictures[f"reconstructions_{attack}"] = reconstruction_grid(
            data.originals, {**rows, **data.references}, title=entry(attack).title, columns=data.columns
        )
    pictures["accuracy_leakage"] = accuracy_against_leakage(results)
    pictures["epsilon"] = epsilon_curve(results.models)
    pictures["sparsity"] = sparsity_curve(results.models)
    if data.loss_curves:
        pictures["attack_loss"] = loss_curves(results.models, data.loss_curves, title="The seed attack's objective")
    return pictures


def write_report(folder: Path, results: RunResults, data: PictureData) -> Path:
    """Write ``metrics.json``, the PNG files and ``report.html`` into an existing folder; returns the page's path.

    Everything is computed before the first file is written, and the page is written last: where ``report.html``
    exists, the rest does too.

    Raises:
        FileNotFoundError: there is no such folder.
        OSError: the folder is not writable.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; make it before the report is written")
    metrics = to_json(results).encode()
    pictures = draw(results, data)
    page = render_page(results, pictures).encode()
    write_atomically(folder / "metrics.json", metrics)
    for name, png in pictures.items():
        write_atomically(folder / f"{name}.png", png)
    write_atomically(folder / "report.html", page)
    return folder / "report.html"
