"""Events as JSON and back, without losing a bit of any number."""

import json
from dataclasses import fields
from typing import Any, Union, cast

from mindveil.accountant import events as ev
from mindveil.accountant.batches import BallsInBins, ShuffledBatches
from mindveil.accountant.correlated import BandedMatrix, MatrixMechanism, TreeAggregation

__all__ = ["EVENT_KINDS", "canonical", "event_from_json", "event_to_json"]

Json = Union[None, bool, int, str, float, list["Json"], dict[str, "Json"]]  # noqa: UP007 - recursive

EVENT_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        ev.Gaussian,
        ev.AdaptiveClipping,
        ev.PerLayer,
        ev.ClippedTogether,
        ev.Laplace,
        ev.PureLoss,
        ev.ZeroConcentrated,
        ev.PoissonSampled,
        ev.SampledWithoutReplacement,
        ShuffledBatches,
        BallsInBins,
        TreeAggregation,
        BandedMatrix,
        MatrixMechanism,
        ev.Composed,
        ev.Sequence,
        ev.NonPrivate,
        ev.NoOp,
    )
}
"""The one table of event kinds; the conformance suite runs over it."""

_FLOAT_MARK = "0x"


def event_to_json(event: ev.Event) -> dict[str, Json]:
    """``event`` as dictionaries, lists, integers and strings; floats as ``float.hex()`` strings.

    >>> event_to_json(ev.Gaussian(1.5))
    {'kind': 'Gaussian', 'noise_multiplier': '0x1.8000000000000p+0'}
    """
    name = type(event).__name__
    if EVENT_KINDS.get(name) is not type(event):
        raise TypeError(f"event is {event!r} ({name}), and must be one of {', '.join(EVENT_KINDS)}")
    written: dict[str, Json] = {"kind": name}
    for part in fields(event):
        written[part.name] = _write(getattr(event, part.name))
    return written


def event_from_json(written: object) -> ev.Event:
    """The event that :func:`event_to_json` wrote; checked as strictly as one made by hand.

    Raises:
        TypeError, ValueError: not such a dictionary, an unknown kind, a missing or unknown field, a value out of range.
    """
    if not isinstance(written, dict):
        raise TypeError(f"an event is written as {type(written).__name__}, and must be an object with a 'kind'")
    kind = EVENT_KINDS.get(str(written.get("kind")))
    if kind is None:
        raise ValueError(f"kind is {written.get('kind')!r}, and must be one of {', '.join(EVENT_KINDS)}")
    wanted = {part.name for part in fields(kind)}
    got = {str(name) for name in written} - {"kind"}
    if got != wanted:
        raise ValueError(f"{kind.__name__} is written with {sorted(got)}, and must have {sorted(wanted)}")
    return cast(ev.Event, kind(**{name: _read(written[name]) for name in wanted}))


def canonical(written: Json) -> bytes:
    """The one byte string that stands for a JSON value: sorted keys, no blanks, ASCII, no NaN."""
    text = json.dumps(written, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def _write(value: object) -> Json:
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, tuple):
        return [_write(part) for part in value]
    return event_to_json(cast(ev.Event, value))


def _read(value: object) -> object:
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, str) and value.lstrip("-").startswith(_FLOAT_MARK):
        return float.fromhex(value)
    if isinstance(value, list):
        return tuple(_read(part) for part in value)
    if isinstance(value, dict):
        return event_from_json(value)
    raise ValueError(f"{value!r} is no number written by float.hex(), no integer, no list and no event")
