"""Makes frozen dataclasses out of TOML tables, and refuses unknown keys and values of the wrong type."""

from __future__ import annotations

import difflib
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["ConfigError", "build", "read_toml"]

T = TypeVar("T")
WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path (a text)"}


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key, what it holds and what it must hold."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: there is no such file, or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from error


def build(cls: type[T], table: Mapping[str, Any], prefix: str = "") -> T:
    """A dataclass, with dataclasses as fields, from a table of the same shape; what is absent keeps its default.

    Raises:
        ConfigError: a key is unknown (the message lists the valid ones), or a value has the wrong type.
    """
    hints = typing.get_type_hints(cls)
    valid = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    for key in table:
        if key not in valid:
            raise ConfigError(_unknown(prefix, key, valid))
    return cls(**{key: _value(f"{prefix}{key}", hints[key], value) for key, value in table.items()})


def _value(key: str, hint: Any, value: Any) -> Any:
    """``value`` converted to the type that a field is declared with."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    wanted: Any = next(option for option in options if option is not type(None))
    if isinstance(wanted, type) and is_dataclass(wanted):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{key} is {value!r}, and must be a table: [{key}]")
        return build(wanted, value, f"{key}.")
    if typing.get_origin(wanted) is tuple:
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{key} is {value!r}, and must be a list of texts")
        return tuple(value)
    return _scalar(key, wanted, value)


def _scalar(key: str, wanted: type, value: Any) -> Any:
    accepted: tuple[type, ...] = {float: (int, float), Path: (str, Path)}.get(wanted, (wanted,))
    if not isinstance(value, accepted) or (isinstance(value, bool) and wanted is not bool):
        raise ConfigError(f"{key} is {value!r}, and must be {WORDS[wanted]}")
    return wanted(value)


def _unknown(prefix: str, key: str, valid: list[str]) -> str:
    where = f"[{prefix[:-1]}]" if prefix else "the top of the configuration"
    close = difflib.get_close_matches(key, valid, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{prefix}{key} is unknown{hint}; valid in {where}: {', '.join(valid)}"
