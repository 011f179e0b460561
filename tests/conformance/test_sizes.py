"""One concept a file, one job a function: neither may grow beyond what is read at one go."""

from __future__ import annotations

import ast
from pathlib import Path

FILE_LINES = 300
FUNCTION_LINES = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


def docstring_lines(function: Function) -> int:
    first = function.body[0]
    text = first.value if isinstance(first, ast.Expr) else None
    if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
        return 0
    return (text.end_lineno or 0) - text.lineno + 1


def code_lines(function: Function) -> int:
    return (function.end_lineno or 0) - function.lineno + 1 - docstring_lines(function)


def test_a_file_has_300_lines_at_most(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= FILE_LINES, "split it by concept"


def test_a_function_has_50_lines_at_most(file: Path) -> None:
    functions = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, Function)]
    long = {f"{f.name}, line {f.lineno}": code_lines(f) for f in functions if code_lines(f) > FUNCTION_LINES}
    assert not long, "split them by job"


def test_docstrings_are_not_counted() -> None:
    (function,) = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    x = 1\n    return x\n').body
    assert isinstance(function, ast.FunctionDef)
    assert code_lines(function) == 3
