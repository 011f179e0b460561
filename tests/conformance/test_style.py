"""What the packages' code never does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

Function = ast.FunctionDef | ast.AsyncFunctionDef

# Public functions that take ``**kwargs``, and why they may.
ANY_KEYWORD = {
    "runtime/diff_privacy/factories.py": {"create"},  # here and below: MindArmour's signature; other keys: TypeError
    "runtime/diff_privacy/model.py": {"__init__"},
    "runtime/diff_privacy/monitors.py": {"create"},
    "runtime/diff_privacy/optimizer.py": {"create", "set_mechanisms"},
    "runtime/sup_privacy/model.py": {"__init__"},
    "tools/exporting/call.py": {"emit"},  # the keywords are an operator's attributes; the ONNX checker refuses others
    "tools/gradients/builder.py": {"op"},  # the same
    "tools/gradients/call.py": {"op"},  # the same
}
# The layers for users of other libraries keep those libraries' signatures.
LAYERS_FOR_OTHERS = ("runtime/diff_privacy/", "runtime/lipdp/", "runtime/sup_privacy/")


def public_functions(tree: ast.Module) -> Iterator[Function]:
    """Functions and methods that users may call: no underscore in front of their name or of their class's."""
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else [node]
        for member in members:
            if isinstance(member, Function) and (member.name == "__init__" or not member.name.startswith("_")):
                yield member


def faults(source: str) -> list[str]:
    """What no file of the packages may hold."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            found.append(f"line {node.lineno}: assert; raise an error that says what was wanted")
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"line {node.lineno}: bare except; name what is caught")
        if isinstance(node, Function):
            defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            found += [
                f"line {node.lineno}: mutable default of {node.name}"
                for default in defaults
                if isinstance(default, (ast.List, ast.Dict, ast.Set))
            ]
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            found.append(f"line {node.lineno}: {', '.join(node.names)} is global or nonlocal; pass state in and out")
    found += [
        f"line {number}: an open end without an issue's number"
        for number, line in enumerate(source.splitlines(), 1)
        if re.search(r"#.*\b(TODO|FIXME|XXX)\b(?!.*#\d)", line)
    ]
    return found


def test_the_packages_hold_none_of_the_faults(package_file: Path) -> None:
    assert faults(package_file.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "assert x",
        "try:\n    f()\nexcept:\n    pass",
        "def f(x=[]): ...",
        "def f(*, x={}): ...",
        "def f():\n    global x",
        "x = 1  # TODO: later",
    ],
)
def test_each_fault_is_found(source: str) -> None:
    assert len(faults(source)) == 1


def test_public_functions_take_no_unnamed_keywords(package_file: Path, root: Path) -> None:
    name = package_file.relative_to(root).as_posix()
    functions = public_functions(ast.parse(package_file.read_text()))
    taking = {function.name for function in functions if function.args.kwarg}
    assert name.startswith(LAYERS_FOR_OTHERS) or taking == ANY_KEYWORD.get(name, set())


def test_only_the_command_line_prints(package_file: Path, root: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(package_file.read_text())) if isinstance(node, ast.Call)]
    prints = [
        call.lineno for call in calls if isinstance(call, ast.Name) and call.id in ("print", "input", "breakpoint")
    ]
    assert not prints or package_file.is_relative_to(root / "tools" / "cli")


def test_every_file_says_what_it_knows(file: Path) -> None:
    docstring = ast.get_docstring(ast.parse(file.read_text())) or (not file.read_text() and "Empty.")
    assert docstring, "start it with one sentence that says what it knows"
    assert docstring.splitlines()[0].endswith((".", ":", "?"))


def test_public_functions_and_classes_have_a_docstring(package_file: Path) -> None:
    tree = ast.parse(package_file.read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    functions = [node for node in tree.body if isinstance(node, Function) and not node.name.startswith("_")]
    assert [node.name for node in (*classes, *functions) if not ast.get_docstring(node)] == []


def test_what_a_package_takes_from_a_module_has_not_the_modules_name(package_file: Path) -> None:
    # It would hide the module: `import mindveil.passes.clip` would then find a function.
    front_door = (package_file.parent / "__init__.py").read_text()
    taken = [node for node in ast.walk(ast.parse(front_door)) if isinstance(node, ast.ImportFrom)]
    from_here = [node for node in taken if (node.module or "").split(".")[-1] == package_file.stem]
    assert package_file.stem not in {alias.asname or alias.name for node in from_here for alias in node.names}
