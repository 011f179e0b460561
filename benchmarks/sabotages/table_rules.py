"""Breaks each rule of the operation table once, and runs the tests of the table until one fails."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from operations.brute_force import Case, compare
from operations.test_conformance import CASES

from mindveil.passes.operations import OPERATIONS
from mindveil.passes.operations.table import Operation, RefusedError
from mindveil.passes.privacy import Many, PerExample, Privacy, Public, Summed
from mindveil.runtime import step as step_module

__all__ = ["KINDS", "Broken", "broken_rules"]

#: What a wrong term, norm or linear step is off by.
FACTOR = 1.5
QUIET = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider"]
REFUSALS = [
    f"tests/passes/operations/test_{name}.py"
    for name in ("refused", "refused_layers", "random_programs", "sort", "dropout", "choice")
] + ["tests/runtime/test_suppression.py", "tests/runtime/lipschitz/test_steps.py", "tests/passes/test_stamps.py"]
#: Their results are parts of a tuple, so that the norm never asks whether they keep it.
SEVERAL_RESULTS = ("Split", "SplitWithSize", "Unstack")
KINDS = ("privacy", "terms", "norm", "masked", "linear", "isometric", "scaled", "forbids")


@dataclass(frozen=True)
class Broken:
    """One rule: its kind and function, the operations that share it, and what noticed that it was broken."""

    kind: str
    rule: str
    operations: tuple[str, ...]
    noticed: str


def broken_rules(kinds: Sequence[str] = KINDS) -> Iterator[Broken]:
    """Every distinct rule of these kinds, broken."""
    cases = [(str(p.id), p.values[0]) for p in CASES]
    used = {name: _operations_of(case) for name, case in cases}
    refusals = _Refusals()
    pytest.main([*QUIET, *REFUSALS], plugins=[refusals])
    for kind in kinds:
        for rule, names in _distinct(kind).items():
            suited = [(name, case) for name, case in cases if used[name] & set(names)]
            # Tests that compile nothing take no time, and may call a rule by itself.
            tests = [t for t, operations in refusals.operations.items() if not operations or operations & set(names)]
            with _breaking(kind, names):
                noticed = _first_failure(suited) or _refusals_fail(tests)
            yield Broken(kind, _label(rule), names, noticed)


def _distinct(kind: str) -> dict[Any, tuple[str, ...]]:
    """Rule -> the operations that have it. Rules that one function makes are one: the function is what is tested."""
    found: dict[Any, tuple[Any, list[str]]] = {}
    for name, entry in OPERATIONS.items():
        rule = getattr(entry, kind)
        if kind == "isometric":
            rule = None if entry.isometric or name in SEVERAL_RESULTS else entry.linear
        if rule is not None:
            found.setdefault(getattr(rule, "__code__", rule), (rule, []))[1].append(name)
    return {rule: tuple(names) for rule, names in found.values()}


@contextmanager
def _breaking(kind: str, names: tuple[str, ...]) -> Iterator[None]:
    kept = {name: OPERATIONS[name] for name in names}
    for name, entry in kept.items():
        OPERATIONS[name] = replace(entry, **{kind: _wrong(kind, entry)})
    try:
        yield
    finally:
        OPERATIONS.update(kept)


def _wrong(kind: str, entry: Operation) -> Any:
    if kind == "isometric":
        return True
    rule = getattr(entry, kind)
    if kind == "privacy":
        return lambda view, node: _elsewhere(rule, view, node)
    if kind == "forbids":
        return lambda view, node: None
    if kind == "scaled":
        return lambda view, node: -1  # no operand; a product is as right with the weights on its other one
    return lambda terms, *rest: _scaled(terms, rule(terms, *rest))


def _elsewhere(rule: Callable[..., Privacy], view: Any, node: Any) -> Privacy:
    """The examples in another place, or a refused operation taken as harmless."""
    try:
        kind = rule(view, node)
    except RefusedError:
        return PerExample(1)
    return _other(kind)


def _other(kind: Privacy) -> Privacy:
    if isinstance(kind, PerExample):
        return PerExample(2 * kind.before)
    if isinstance(kind, Summed):
        return Public()
    if isinstance(kind, Many):
        return Many(tuple(_other(part) for part in kind.parts))
    return Summed()


def _scaled(terms: Any, made: int | None) -> int | None:
    return None if made is None else int(terms.build.binary("Mul", made, terms.build.scalar(FACTOR)))


def _first_failure(cases: list[tuple[str, Case]]) -> str:
    """The first case that notices, and how; empty if none does."""
    for name, case in cases:
        try:
            result = compare(case)
        except Exception as error:  # noqa: BLE001  whatever stops the step counts
            return f"{name}: {type(error).__name__}"
        if not result.worst <= case.tolerance:
            return f"{name}: wrong by {result.worst:.0e}"
    return ""


def _refusals_fail(tests: list[str]) -> str:
    """The first of these tests of refusals that fails."""
    failed = _Refusals()
    if tests:
        pytest.main(["-x", *QUIET, *tests], plugins=[failed])
    return failed.failed


class _Refusals:
    """A plugin that keeps the operations in the step graphs of each test, and the name of the first that failed."""

    def __init__(self) -> None:
        self.failed = ""
        self.operations: dict[str, set[str]] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: Any) -> Iterator[None]:
        with _watching() as found:
            yield
        self.operations[item.nodeid] = found

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = str(report.nodeid).split("::")[-1]


def _operations_of(case: Case) -> set[str]:
    """The operations of a case's step before any pass."""
    with _watching() as found, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare(case)
    return found


@contextmanager
def _watching() -> Iterator[set[str]]:
    found: set[str] = set()
    whole = step_module.rewrite

    def watched(graph: Any, *rest: Any) -> Any:
        found.update(n.op for n in graph.operations)
        return whole(graph, *rest)

    step_module.rewrite = watched
    try:
        yield found
    finally:
        step_module.rewrite = whole


def _label(rule: Any) -> str:
    if not callable(rule):
        return str(rule)
    name = f"{rule.__module__.rsplit('.', 1)[-1]}.{getattr(rule, '__qualname__', rule)}".replace(".<locals>", "")
    return name
