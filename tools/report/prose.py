"""The fixed sentences of the report: what the numbers mean, and what they do not."""

from __future__ import annotations

from mindveil.tools.report.formats import percent
from mindveil.tools.report.markup import Html, code, paragraph, text, unordered
from mindveil.tools.report.results import RunResults

__all__ = ["how_to_read", "notice", "what_is_measured"]


def notice() -> Html:
    """The caveat that stands above everything else."""
    return (
        '<div class="notice"><p><strong>One training, no claim.</strong> Every model was trained once. Intervals cover '
        "the choice of images, not another training with another seed, which can move these figures as much as the "
        "differences between the models. No row shows that a model is safe: a low figure says that these attacks, "
        "within this budget, on these images, did not do better.</p></div>"
    )


def how_to_read(results: RunResults) -> Html:
    """What each score is, with the chance level and the number of candidates."""
    candidates = results.targets.candidates
    return unordered(
        [
            "<strong>Identified</strong> is the figure to read first: the share of reconstructions that resemble their "
            f"own original more than any of the other {candidates - 1:,} candidates (Pearson correlation over pixels; "
            f"a tie counts as a miss). Chance is {text(percent(1 / candidates, 2))}.",
            "<strong>Relative L2</strong> is the distance to the original over the original's length: 0 is exact, and "
            "a black image has 1.",
            "<strong>SSIM</strong> is structural similarity with a uniform 7 x 7 window and data range 1. Dark "
            "backgrounds alone give it a substantial value; compare with the black image.",
            "<strong>Evaluator confidence and accuracy</strong> are what an independently trained classifier sees. "
            "They measure the class, which a useful model gives away by design: the mean image of the class, which "
            "holds nothing of the record, scores like an exact copy.",
        ]
    )


def what_is_measured(results: RunResults) -> Html:
    """Inference-time leak against leak of training data."""
    return "".join(
        [
            paragraph(
                f"The attacks see the {results.targets.feature_size:,} features that an image causes at the value "
                f"{code(results.targets.features)} and try to draw the image. This is a leak <strong>at inference"
                "</strong>: it concerns whoever sends an image through the model while somebody watches that value, as "
                "in split inference. It happens to images that were never trained on just as to others."
            ),
            paragraph(
                "It is <strong>not</strong> a leak of training data. Whether a record was trained on, and what the "
                "weights remember of it, is the subject of membership inference and of planted records, which did not "
                "run here. Epsilon bounds that second leak and only that: private training is not expected to "
                "lower the figures above, and a model with a small epsilon may well be the easiest to invert."
            ),
            paragraph(
                "Sparsity is no privacy measure. Setting weights to zero removes information only where whole units "
                "fall silent; the units that remain may see the image more directly."
            ),
        ]
    )
