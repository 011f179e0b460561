"""Imports point downwards only, and MindSpore is imported by as few files as possible."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

LAYERS = ("accountant", "passes", "runtime", "tools")

# Every file here touches MindSpore itself; whatever can do without it loads and tests without it.
MINDSPORE_FILES = {
    "passes/bridge/plugin.py",
    "runtime/bound_marker.py",
    "runtime/callbacks.py",
    "runtime/card_of.py",
    "runtime/checking.py",
    "runtime/checkpoint.py",
    "runtime/controls.py",
    "runtime/datasets.py",
    "runtime/environment.py",
    "runtime/guard.py",
    "runtime/losses.py",
    "runtime/marker.py",
    "runtime/model.py",
    "runtime/networks.py",
    "runtime/pending.py",
    "runtime/readings.py",
    "runtime/step.py",
    "runtime/step_cell.py",
    "runtime/rows.py",
    "runtime/suppress.py",
    "runtime/training.py",
    "runtime/workers.py",
    "tools/cli/explain_step.py",
    "tools/exporting/network.py",
    "tools/jobs/exporting.py",
    "tools/jobs/training.py",
}
# The layers for users of other libraries wrap MindSpore's own classes, as those libraries do.
LAYERS_FOR_OTHERS = ("runtime/diff_privacy/", "runtime/lipdp/", "runtime/sup_privacy/")
ONNX = {"onnx", "onnx_ir", "onnxruntime"}

# A layer, and what importing all that it offers without asking must not load.
LIGHT = {
    "mindveil.accountant": {"mindspore", *ONNX},
    "mindveil.passes.pipeline": {"mindspore", *ONNX},
    "mindveil.runtime": {"mindspore", *ONNX},
    "mindveil.runtime.datasets": {"mindspore", *ONNX},
    "mindveil.tools": {"mindspore"},
    "mindveil.tools.attacks": {"mindspore"},
    "mindveil.tools.cli": {"mindspore", "numpy", "matplotlib", *ONNX},  # the doctor starts where NumPy is missing
    "mindveil.tools.gradients": {"mindspore"},
    "mindveil.tools.inspection": {"mindspore"},
    "mindveil.tools.onnx_passes": {"mindspore"},
}

IMPORT_ALL = """
import importlib, pkgutil, mindveil
for module in pkgutil.walk_packages(mindveil.__path__, "mindveil."):
    importlib.import_module(module.name)
"""


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, at its top or within functions, and of what it takes from them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return names


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def loaded_after(code: str, root: Path) -> set[str]:
    """The top-level modules in memory after running code in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(root / "src")}
    code += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    line = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(line, env=environment, cwd=root / "tests", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("\n")[-2].split())


def test_imports_point_downwards_only(package_file: Path, root: Path) -> None:
    own = package_file.relative_to(root).parts[0]
    forbidden = LAYERS[LAYERS.index(own) + 1 :]
    upwards = {name for name in imported(package_file) if name.startswith(tuple(f"mindveil.{up}" for up in forbidden))}
    assert not upwards, f"{own} must not import {', '.join(forbidden)}"


def test_imports_within_the_packages_are_absolute(package_file: Path) -> None:
    relative = {name for name in imported(package_file) if name.startswith(".")}
    assert not relative, "write mindveil.<folder>.<module>"


def test_imports_carry_the_products_name(file: Path) -> None:
    assert not tops(file) & set(LAYERS), "a folder's own name is not importable once the package is installed"


def test_mindspore_is_imported_by_the_listed_files_only(package_file: Path, root: Path) -> None:
    name = package_file.relative_to(root).as_posix()
    imports_it = "mindspore" in tops(package_file) and not name.startswith(LAYERS_FOR_OTHERS)
    assert imports_it == (name in MINDSPORE_FILES), "keep MINDSPORE_FILES true, and short"


def test_the_list_of_files_that_import_mindspore_names_files_that_exist(root: Path) -> None:
    assert {name for name in MINDSPORE_FILES if not (root / name).is_file()} == set()


def test_onnx_is_imported_by_the_tools_only(package_file: Path, root: Path) -> None:
    assert package_file.is_relative_to(root / "tools") or not tops(package_file) & ONNX


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_without_the_heavy_ones(module: str, root: Path) -> None:
    assert not loaded_after(f"import {module}", root) & LIGHT[module]


def test_no_folder_is_imported_under_its_bare_name(root: Path) -> None:
    loaded = loaded_after(IMPORT_ALL, root)
    assert "mindveil" in loaded
    assert not loaded & set(LAYERS)
    assert not set(sys.modules) & set(LAYERS), "a test imported a folder under its bare name"
