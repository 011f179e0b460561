"""The tables of the report: models side by side, attacks beside reference rows, threat models, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mindveil.tools.attacks.catalogue import entry, not_tested
from mindveil.tools.attacks.score import Score
from mindveil.tools.report.formats import (
    DASH,
    SCORE_TITLES,
    byte_size,
    difference_cell,
    epsilon_cell,
    percent,
    score_cell,
)
from mindveil.tools.report.markup import Cell, Html, code, number, table, text
from mindveil.tools.report.plane import accuracy_score
from mindveil.tools.report.results import ModelResult, RunResults

__all__ = [
    "attack_table",
    "difference_table",
    "membership_table",
    "model_table",
    "not_tested_table",
    "provenance_table",
    "threat_table",
    "versions_table",
]

_REFERENCE_TITLES = {
    "original": ("The original itself", "ceiling of every score"),
    "black": ("A black image", "knows nothing"),
    "class_mean": ("The mean image of the class", "knows the label only"),
    "random_same_class": ("A random image of the class", "knows the label only"),
}


def _head(first: str, *others: str) -> list[Cell]:
    return [Cell(text(first)), *(Cell(text(title), numeric=True) for title in others)]


def model_table(results: RunResults) -> Html:
    """One row a measure, one column a model."""
    models = list(results.models.values())
    rows: list[tuple[str, Sequence[Cell]]] = [
        ("", [_title("Mode", "what training did"), *(Cell(text(model.mode), numeric=True) for model in models)]),
        ("", [_title("Accuracy", "exported file, held-out images"), *(_accuracy(model) for model in models)]),
        ("", [_title("Epsilon", "bound for training records"), *(_epsilon(model) for model in models)]),
        ("", [_title("Sparsity", "weights that are zero"), *(number(percent(model.sparsity)) for model in models)]),
        ("", [_title("File size"), *(number(byte_size(model.onnx_bytes)) for model in models)]),
        ("", [_title("ONNX against MindSpore", "largest difference of logits"), *(_gap(model) for model in models)]),
    ]
    chance = percent(1 / results.targets.candidates, 2)
    heading = f"Targets identified among {results.targets.candidates:,} candidates (chance {chance})"
    rows.append(_group(heading, len(models) + 1))
    rows.extend(("", [_title(entry(attack).title), *_identified(models, attack)]) for attack in results.attack_names)
    caption = f"{results.targets.count} targets; small print: 95 % intervals over the choice of images"
    return table(_head("", *(model.title for model in models)), rows, caption=caption)


def _title(main: str, below: str = "") -> Cell:
    return Cell(text(main) + (f"<small>{text(below)}</small>" if below else ""), head=True)


def _accuracy(model: ModelResult) -> Cell:
    score = accuracy_score(model.accuracy, model.accuracy_n)
    return number(percent(model.accuracy), f"{100 * score.low:.1f} to {100 * score.high:.1f}")


def _epsilon(model: ModelResult) -> Cell:
    return epsilon_cell(model.epsilon, model.delta)


def _gap(model: ModelResult) -> Cell:
    return number(f"{model.onnx_max_abs_difference:.1e}")


def _identified(models: Sequence[ModelResult], attack: str) -> list[Cell]:
    name = "identification_rate"
    records = [model.attacks.get(attack) for model in models]
    return [score_cell(name, record.scores.get(name) if record else None) for record in records]


def attack_table(results: RunResults) -> Html:
    """One row a model and attack, the reference rows below."""
    names = [name for name in SCORE_TITLES if _measured(results, name)]
    rows: list[tuple[str, Sequence[Cell]]] = []
    for attack in results.attack_names:
        rows.append(_group(entry(attack).title, len(names) + 1))
        for model in results.models.values():
            if attack in model.attacks:
                rows.append(("", [_title(model.title), *_scores(model.attacks[attack].scores, names)]))
    rows.append(_group("Reference rows: no attack, no features", len(names) + 1))
    for row, scores in results.references.items():
        title, below = _REFERENCE_TITLES.get(row, (row, ""))
        rows.append(("reference", [_title(title, below), *_scores(scores, names)]))
    return table(_head("Reconstruction", *(SCORE_TITLES[name][0] for name in names)), rows)


def _measured(results: RunResults, name: str) -> bool:
    return any(name in record.scores for model in results.models.values() for record in model.attacks.values())


def _scores(scores: Mapping[str, Score], names: Sequence[str]) -> list[Cell]:
    return [score_cell(name, scores.get(name)) for name in names]


def membership_table(results: RunResults) -> Html:
    """Identification of targets that were trained on beside that of others; the empty string where unknown."""
    records = [record for model in results.models.values() for record in model.attacks.values()]
    names = list(dict.fromkeys(group for record in records for group in record.groups))
    if not names:
        return ""
    rows: list[tuple[str, Sequence[Cell]]] = []
    for attack in results.attack_names:
        rows.append(_group(entry(attack).title, len(names) + 1))
        for model in results.models.values():
            groups = model.attacks[attack].groups if attack in model.attacks else {}
            if groups:
                cells = [score_cell("identification_rate", groups.get(name)) for name in names]
                rows.append(("", [_title(model.title), *cells]))
    return table(_head("Targets identified", *(name.capitalize() for name in names)), rows)


def difference_table(results: RunResults) -> Html:
    """Differences between models, paired target by target; the empty string where there are none."""
    names = [name for name in SCORE_TITLES if any(item.name == name for item in results.differences)]
    found = {(item.attack, item.model, item.baseline, item.name): item.score for item in results.differences}
    if not names:
        return ""
    rows: list[tuple[str, Sequence[Cell]]] = []
    for attack in dict.fromkeys(key[0] for key in found):
        rows.append(_group(entry(attack).title, len(names) + 1))
        for model, baseline in dict.fromkeys(key[1:3] for key in found if key[0] == attack):
            pair = f"{_model_title(results, model)} minus {_model_title(results, baseline)}"
            cells = [difference_cell(name, found.get((attack, model, baseline, name))) for name in names]
            rows.append(("", [_title(pair), *cells]))
    caption = "Paired differences with 95 % bootstrap intervals; shares in percentage points"
    return table(_head("Models", *(SCORE_TITLES[name][0] for name in names)), rows, caption=caption)


def _group(title: str, span: int) -> tuple[str, Sequence[Cell]]:
    """A row that heads the rows below it."""
    return "group", [Cell(text(title), head=True, span=span)]


def _model_title(results: RunResults, name: str) -> str:
    return results.models[name].title if name in results.models else name


def threat_table(results: RunResults) -> Html:
    """For each attack that ran: what its attacker sees, knows and spends."""
    rows = []
    for name in results.attack_names:
        item = entry(name)
        spent = [model.attacks[name].seconds for model in results.models.values() if name in model.attacks]
        measured = [seconds for seconds in spent if seconds is not None]
        cost = f"up to {max(measured):.1f} s a model" if measured else DASH
        knowledge = item.knowledge
        if knowledge.startswith("public"):
            knowledge = f"{results.targets.public_count:,} {knowledge}, none of them a target"
        rows.append(
            ("", [Cell(text(item.title), head=True), Cell(text(item.access)), Cell(text(knowledge)), Cell(text(cost))])
        )
    head = [Cell("Attack"), Cell("Sees and may do"), Cell("Knows beside that"), Cell("Time")]
    return table(head, rows)


def not_tested_table(results: RunResults) -> Html:
    """The rest of the catalogue of attacks."""
    rows = [
        ("", [Cell(text(item.title), head=True), Cell(text(item.question)), Cell(text(item.access))])
        for item in not_tested(results.attack_names)
    ]
    return table([Cell("Attack"), Cell("Would measure a leak of"), Cell("Needs")], rows)


def provenance_table(results: RunResults) -> Html:
    """The command, times, and the hashes of models and images."""
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in results.stage_seconds.items())
    facts: list[tuple[str, Html]] = [
        ("Command", code(results.command)),
        ("Time", text(f"{results.seconds:.1f} s" + (f" ({stages})" if stages else ""))),
        ("Images", text(results.targets.source)),
        ("Evaluator", text(results.evaluator or "none")),
        ("Targets, SHA-256", code(results.targets.sha256)),
        ("Public images, SHA-256", code(results.targets.public_sha256)),
        *((f"{model.title}, SHA-256", code(model.sha256)) for model in results.models.values()),
    ]
    return table(
        [Cell("What"), Cell("Value")], [("", [Cell(text(name), head=True), Cell(value)]) for name, value in facts]
    )


def versions_table(results: RunResults) -> Html:
    """Software and its versions."""
    rows = [("", [Cell(text(name), head=True), Cell(code(version))]) for name, version in results.versions.items()]
    return table([Cell("Software"), Cell("Version")], rows)
