"""Checks that the report runs on its own results: signs that an attack failed rather than that a model held."""

from __future__ import annotations

from mindveil.tools.attacks.catalogue import entry
from mindveil.tools.report.formats import percent
from mindveil.tools.report.markup import Html, check, text
from mindveil.tools.report.results import AttackRecord, ModelResult, RunResults

__all__ = ["sanity_checks"]

_GRADIENT_FREE = ("ridge",)
_LABEL_ONLY = ("class_mean", "random_same_class", "black")


def sanity_checks(results: RunResults) -> Html:
    """All checks, model by model."""
    parts: list[Html] = []
    for model in results.models.values():
        for name, record in model.attacks.items():
            parts.append(_objective(model, name, record))
            parts.append(_beats_references(results, model, name, record))
        parts.append(_gradient_free(model))
    return "".join(parts)


def _objective(model: ModelResult, name: str, record: AttackRecord) -> Html:
    if record.true_loss is None or record.found_loss is None:
        return ""
    numbers = f"{record.true_loss:.3f} on the true images, {record.found_loss:.3f} on the reconstructions"
    if record.prefers_wrong:
        advice = (
            "The objective prefers a wrong image, so more iterations would not help: poor reconstructions are the "
            "attack's failure and say nothing about the model."
        )
    else:
        advice = "The true images have the smaller loss, so the search, not its aim, limits the attack."
    title = f"<strong>{text(model.title)}, {text(entry(name).title.lower())}: the objective.</strong>"
    return check(not record.prefers_wrong, f"<p>{title} Mean loss {numbers}. {advice}</p>")


def _beats_references(results: RunResults, model: ModelResult, name: str, record: AttackRecord) -> Html:
    """Only failures are shown: rows without the record that come closer in L2 than the attack does."""
    own = record.scores.get("l2")
    if own is None:
        return ""
    better = [
        row.replace("_", " ")
        for row in _LABEL_ONLY
        if row in results.references
        and "l2" in results.references[row]
        and results.references[row]["l2"].value < own.value
    ]
    if not better:
        return ""
    return check(
        False,
        f"<p><strong>{text(model.title)}, {text(entry(name).title.lower())}: reference rows.</strong> "
        f"A stand-in that uses nothing of the record is nearer in L2 than the attack: {text(', '.join(better))}. "
        "Judge this attack by identification.</p>",
    )


def _gradient_free(model: ModelResult) -> Html:
    """A gradient-free attack that wins is a sign that gradients are masked, or that the gradient attack is weak."""
    rates = {
        name: record.scores["identification_rate"].value
        for name, record in model.attacks.items()
        if "identification_rate" in record.scores
    }
    free = {name: rate for name, rate in rates.items() if name in _GRADIENT_FREE}
    losers = [name for name, rate in rates.items() if name not in _GRADIENT_FREE and free and rate < max(free.values())]
    if not free or not losers:
        return ""
    worst = ", ".join(f"{entry(name).title.lower()} {percent(rates[name], 0)}" for name in losers)
    return check(
        False,
        f"<p><strong>{text(model.title)}: gradients against none.</strong> The attack without gradients identifies "
        f"{text(percent(max(free.values()), 0))}, more than {text(worst)}. A gradient attack that loses to one "
        "without gradients is failing; its figures must not be read as a property of the model.</p>",
    )
