"""Puts the report together: one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from string import Template

from mindveil.tools.attacks.catalogue import entry
from mindveil.tools.report import prose, tables
from mindveil.tools.report.checks import sanity_checks
from mindveil.tools.report.markup import Html, code, paragraph, picture, section, text
from mindveil.tools.report.results import RunResults

__all__ = ["CAPTIONS", "render_page"]

# Picture name -> (what it shows, for readers who do not see it; its caption)
CAPTIONS: dict[str, tuple[str, Html]] = {
    "accuracy_leakage": (
        "Scatter plot of accuracy against identification rate for every model and attack",
        "Every model and attack, with 95 % intervals in both directions. Towards the bottom right is better for the "
        "person in the picture; the dotted line is chance.",
    ),
    "epsilon": (
        "Line plot of epsilon over training steps",
        "Epsilon spent so far, read off the training graph that ran. Models without a curve make no such claim.",
    ),
    "sparsity": ("Line plot of sparsity over training steps", "Share of weights that are held at zero."),
    "attack_loss": (
        "Line plot of the seed attack's loss over iterations, with the loss of the true images",
        "The seed attack's own objective. Where the curve ends below the dashed line, the attack prefers its result to "
        "the true image.",
    ),
}
_NAVIGATION = (
    ("models", "Models"),
    ("pictures", "Pictures"),
    ("attacks", "Attacks"),
    ("meaning", "Meaning"),
    ("threats", "Threat model"),
    ("checks", "Checks"),
    ("not-tested", "Not tested"),
    ("provenance", "Provenance"),
)


def render_page(results: RunResults, pictures: Mapping[str, bytes]) -> str:
    """The page as HTML text.

    Args:
        pictures: PNG bytes by name: the names of ``CAPTIONS``, and ``reconstructions_<attack>``; others are left out.
    """
    template = Template(files("mindveil.tools.report").joinpath("page.html").read_text(encoding="utf-8"))
    body = "\n".join([_header(results), prose.notice(), *_sections(results, pictures), _footer()])
    return template.substitute(title=text(f"Evaluation of {results.name}"), body=body)


def _header(results: RunResults) -> Html:
    links = " ".join(f'<a href="#{anchor}">{text(title)}</a>' for anchor, title in _NAVIGATION)
    models = ", ".join(model.title for model in results.models.values())
    return (
        f"<header><h1>Evaluation of {text(results.name)}</h1>"
        f"<p>{text(models)}. {results.targets.count} images attacked from the features at "
        f"{code(results.targets.features)}, on the exported ONNX files.</p><nav>{links}</nav></header>"
    )


def _sections(results: RunResults, pictures: Mapping[str, bytes]) -> list[Html]:
    notes = [paragraph(text(note)) for model in results.models.values() for note in model.notes]
    return [
        section("models", "The models side by side", tables.model_table(results), *notes),
        section("pictures", "What the attacks see", *_reconstructions(results, pictures), _curves(pictures)),
        section(
            "attacks",
            "Attacks and reference rows",
            prose.how_to_read(results),
            tables.attack_table(results),
            _differences(results),
        ),
        section(
            "meaning", "What this measures, and what it does not", prose.what_is_measured(results), _membership(results)
        ),
        section("threats", "Threat model", tables.threat_table(results)),
        section(
            "checks",
            "Checks of the attacks themselves",
            paragraph("An attack that fails is easily taken for a model that resists. These checks look for that."),
            sanity_checks(results),
        ),
        section(
            "not-tested",
            "Not tested",
            paragraph("Attacks that exist and did not run here. Nothing in this report speaks about them."),
            tables.not_tested_table(results),
        ),
        section("provenance", "Provenance", tables.provenance_table(results), tables.versions_table(results)),
    ]


def _differences(results: RunResults) -> Html:
    """The paired table with its explanation, where models were compared."""
    rows = tables.difference_table(results)
    if not rows:
        return ""
    explanation = paragraph(
        "All models were attacked on the same targets, so they can be compared image by image. A star marks an "
        "interval that leaves 0 out. Look at the strongest attack: a weak one may rank the models the other way round."
    )
    return f"<h3>Differences between the models</h3>{explanation}{rows}"


def _membership(results: RunResults) -> Html:
    """The two groups of targets, where it is known which were trained on."""
    rows = tables.membership_table(results)
    if not rows:
        return ""
    explanation = paragraph(
        "The targets fall into two groups, those that the models were trained on and those that they never saw. Where "
        "the rates agree, the attack reads what the features show and not what the model remembers."
    )
    return f"<h3>Trained on, and not</h3>{explanation}{rows}"


def _reconstructions(results: RunResults, pictures: Mapping[str, bytes]) -> list[Html]:
    parts = []
    for name in results.attack_names:
        if f"reconstructions_{name}" in pictures:
            title = entry(name).title
            caption = f"<strong>{text(title)}.</strong> The first targets of the list, in its order; none was chosen."
            parts.append(
                picture(pictures[f"reconstructions_{name}"], f"Originals and reconstructions: {title}", caption)
            )
    return parts


def _curves(pictures: Mapping[str, bytes]) -> Html:
    shown = [picture(pictures[name], *texts) for name, texts in CAPTIONS.items() if name in pictures]
    return f'<div class="pair">{"".join(shown)}</div>'


def _footer() -> Html:
    return "<footer>Written by mindveil. The same numbers are in <code>metrics.json</code>, next to this page.</footer>"
