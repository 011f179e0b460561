"""The lines of a ledger file: canonical JSON, each holding the hash of the line before it and its own."""

import hashlib
import json
from dataclasses import dataclass

from mindveil.accountant.checks import count
from mindveil.accountant.errors import LedgerError
from mindveil.accountant.events import Event
from mindveil.accountant.serialise import Json, canonical, event_from_json, event_to_json

__all__ = ["FORMAT", "Entry", "Scan", "entry_fields", "read_line", "scan", "write_line"]

FORMAT = "mindveil-ledger-1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One spending: ``count`` times ``event``."""

    event: Event
    count: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file holds.

    Args:
        header: the first line's fields.
        entries: the spendings, in order.
        hashes: of the header and of each spending.
        length: bytes up to the end of the last complete line.
        torn: the bytes after that: a line that a crash cut off, or nothing.
    """

    header: dict[str, Json]
    entries: tuple[Entry, ...]
    hashes: tuple[str, ...]
    length: int
    torn: bytes


def write_line(fields: dict[str, Json], previous: str) -> tuple[bytes, str]:
    """A line with its newline, and its hash: SHA-256 over the canonical JSON of everything but the hash itself."""
    body = {**fields, "previous": previous}
    digest = hashlib.sha256(canonical(body)).hexdigest()
    return canonical({**body, "hash": digest}) + b"\n", digest


def read_line(line: bytes, previous: str) -> tuple[dict[str, Json], str]:
    """The fields and the hash of a line without its newline.

    Raises:
        LedgerError: any byte differs from what :func:`write_line` wrote after the line that hashes to ``previous``.
    """
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise LedgerError(f"a line is no JSON ({error}): the file was damaged or edited") from error
    if not isinstance(fields, dict):
        raise LedgerError("a line is no JSON object: the file was damaged or edited")
    claimed = fields.pop("hash", None)
    if fields.pop("previous", None) != previous:
        raise LedgerError("a line does not follow the line before it: lines were edited, removed or inserted")
    expected, digest = write_line(fields, previous)
    if claimed != digest or expected != line + b"\n":
        raise LedgerError("a line does not match its hash: it was edited")
    return fields, digest


def scan(content: bytes) -> Scan:
    """All of a ledger file, checked from the first byte to the last.

    Raises:
        LedgerError: damage other than a last line that was cut off.
    """
    *lines, torn = content.split(b"\n")
    if not lines:
        raise LedgerError("the file has no complete first line: it is no ledger, or its creation was interrupted")
    header, digest = read_line(lines[0], "")
    if header.get("format") != FORMAT:
        raise LedgerError(f"the format is {header.get('format')!r}, and must be {FORMAT!r}")
    entries: list[Entry] = []
    hashes = [digest]
    for number, line in enumerate(lines[1:], start=1):
        fields, digest = read_line(line, digest)
        entries.append(_entry(fields, number))
        hashes.append(digest)
    _check_torn(torn)
    return Scan(header, tuple(entries), tuple(hashes), len(content) - len(torn), torn)


def entry_fields(entry: Entry, number: int) -> dict[str, Json]:
    """The fields of the ``number``-th spending."""
    return {"index": number, "event": event_to_json(entry.event), "count": entry.count}


def _entry(fields: dict[str, Json], number: int) -> Entry:
    if fields.get("index") != number:
        raise LedgerError(f"spending {number} calls itself {fields.get('index')!r}")
    try:
        return Entry(event_from_json(fields.get("event")), count("count", fields.get("count")))
    except (TypeError, ValueError) as error:
        raise LedgerError(f"spending {number} is not a valid event: {error}") from error


def _check_torn(torn: bytes) -> None:
    """A crash leaves the beginning of a line; a whole line without its newline was tampered with."""
    if not torn:
        return
    try:
        json.JSONDecoder().raw_decode(torn.decode("ascii", "replace"))
    except ValueError:
        return
    raise LedgerError("the last line is complete but its end was changed: the file was damaged or edited")
