"""Importing the accountant is cheap, loads nothing heavy, and offers exactly the promised names."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mindveil.accountant as accountant

FRONT_DOOR = Path(accountant.__file__)


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    return done.stdout.strip()


def environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_importing_takes_under_a_fifth_of_a_second_of_processor_time() -> None:
    code = "import time; t = time.process_time(); import mindveil.accountant; print(time.process_time() - t)"
    assert min(float(run(code)) for _ in range(3)) < 0.2


def test_importing_loads_neither_mindspore_nor_onnx_nor_numpy() -> None:
    code = "import sys, mindveil.accountant; print(*sorted(m.split('.')[0] for m in sys.modules))"
    assert not {"mindspore", "onnx", "onnxruntime", "numpy", "scipy"} & set(run(code).split())


def test_accounting_loads_neither_mindspore_nor_onnx() -> None:
    code = (
        "import sys; from mindveil.accountant import *\n"
        "epsilon_bounds(Composed(PoissonSampled(0.1, Gaussian(1.0)), 10), 1e-5)\n"
        "print(*sorted(m.split('.')[0] for m in sys.modules))"
    )
    loaded = set(run(code).split())
    assert "numpy" in loaded
    assert not {"mindspore", "onnx", "onnxruntime", "dp_accounting", "matplotlib"} & loaded
    assert "scipy" in loaded


def test_renyi_accounting_does_without_scipy() -> None:
    code = (
        "import sys; from mindveil.accountant import *\n"
        "epsilon(Composed(PoissonSampled(0.1, Gaussian(1.0)), 10), 1e-5)\n"
        "print('scipy' in sys.modules)"
    )
    assert run(code) == "False"


def test_the_table_of_homes_is_the_list_of_imports_and_of_public_names() -> None:
    tree = ast.parse(FRONT_DOOR.read_text())
    imported = {
        alias.name: (node.module or "").rsplit(".", 1)[-1]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mindveil")
        for alias in node.names
    }
    assert imported == accountant._HOME
    assert sorted(imported) == sorted(accountant.__all__)
    assert set(accountant.__all__) <= set(dir(accountant))


@pytest.mark.parametrize("name", accountant.__all__)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    value = getattr(accountant, name)
    assert name == "Event" or value.__doc__


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'gaussian_'; it has Adaptive"):
        accountant.gaussian_  # noqa: B018


def test_a_second_use_of_a_name_costs_nothing() -> None:
    getattr(accountant, "epsilon")  # noqa: B009
    start = time.perf_counter()
    for _ in range(1000):
        accountant.epsilon  # noqa: B018
    assert time.perf_counter() - start < 0.1
