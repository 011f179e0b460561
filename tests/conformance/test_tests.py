"""Every test checks something: a test that holds no assertion cannot fail, and proves nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

Function = ast.FunctionDef | ast.AsyncFunctionDef
CHECKING_CALLS = {"raises", "warns", "fail", "approx"}


def asserts(function: Function, helpers: dict[str, Function]) -> bool:
    """Whether a function can fail: it asserts, expects an error, or calls a helper of its file that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in CHECKING_CALLS or name.startswith("assert_"):
                return True
            others = {other: helper for other, helper in helpers.items() if other != name}
            if name in helpers and asserts(helpers[name], others):
                return True
    return False


def idle(source: str) -> list[str]:
    """The tests of a file that cannot fail."""
    functions = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, Function)}
    helpers = {name: function for name, function in functions.items() if not name.startswith("test_")}
    tests = [function for name, function in functions.items() if name.startswith("test_")]
    return [test.name for test in tests if not asserts(test, helpers)]


def test_every_test_checks_something(test_file: Path) -> None:
    assert idle(test_file.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "def test_a(): f()",
        "def test_a(): assert True",
        "def helper(): return 1\ndef test_a(): helper()",
        "class TestA:\n    def test_a(self): self.x = 1",
        "def helper(): helper()\ndef test_a(): helper()",
    ],
)
def test_a_test_without_a_check_is_found(source: str) -> None:
    assert idle(source) == ["test_a"]


@pytest.mark.parametrize(
    "source",
    [
        "def test_a(): assert f()",
        "def test_a():\n    with pytest.raises(ValueError, match='x'): f()",
        "def test_a(): np.testing.assert_array_equal(1, 1)",
        "def helper(): assert f()\ndef test_a(): helper()",
    ],
)
def test_a_test_with_a_check_is_let_through(source: str) -> None:
    assert idle(source) == []


def test_names_of_test_files_start_with_test_so_that_they_are_collected(test_file: Path) -> None:
    holds_tests = any(
        isinstance(node, Function) and node.name.startswith("test_")
        for node in ast.walk(ast.parse(test_file.read_text()))
    )
    assert not holds_tests or test_file.name.startswith("test_")
