"""The keywords that models for users of other libraries take, handed on to MindSpore's own model or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["model_options"]

HANDED_ON = ("metrics", "eval_network", "eval_indexes")
#: What else MindSpore's model knows, each with the values under which the step stays as it is.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "amp_level": ("O0", None),
    "boost_level": ("O0", None),
    "loss_scale_manager": (None,),
    "keep_batchnorm_fp32": (None, True, False),
}


def model_options(model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords for ``mindspore.train.Model``.

    Raises:
        TypeError: one is unknown.
        ValueError: one asks for something that would change the step behind the passes.
    """
    unknown = sorted(given.keys() - {*HANDED_ON, *NEUTRAL})
    if unknown:
        known = ", ".join(sorted({*HANDED_ON, *NEUTRAL}))
        raise TypeError(f"{model} got the unknown keyword {', '.join(unknown)}; it knows {known}")
    for name, neutral in NEUTRAL.items():
        if name in given and not any(given[name] is value or given[name] == value for value in neutral):
            raise ValueError(
                f"{name} is {given[name]!r}, and must be {neutral[0]!r} or left out: the step computes in float32 "
                "without loss scaling; mixed precision of the network itself is mindspore.amp.auto_mixed_precision"
            )
    return {name: given[name] for name in HANDED_ON if name in given}
