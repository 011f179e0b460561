"""What is built and installed is what lies in the tree: wheel, sdist and editable package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDERS = ("accountant", "passes", "runtime", "tools")
DATA_ENDINGS = {".cc", ".h", ".html"}  # beside Python files, what the packages need at run time
USE = """
import mindveil.accountant, mindveil.passes.bridge.build as build, mindveil.runtime.batches, sys
print(mindveil.__file__)
print(build.bridge_library().source.is_file())
print(not {"accountant", "passes", "runtime", "tools"} & set(sys.modules))
"""


def run(*line: str | Path, cwd: Path, check: bool = True) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, line)], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(map(str, line))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tree_files(root: Path) -> set[str]:
    """The files of the packages, by the path that they have once installed."""
    files = {
        f"mindveil/{path.relative_to(root).as_posix()}"
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.suffix in {".py", *DATA_ENDINGS} and "__pycache__" not in path.parts
    }
    return files | {"mindveil/__init__.py", "mindveil/py.typed"}


@pytest.fixture(scope="module")
def copy(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, so that building leaves nothing behind in the tree."""
    target = tmp_path_factory.mktemp("copy") / "mindveil"
    target.mkdir()
    for name in (*FOLDERS, "src"):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(root / name, target / name, symlinks=True, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, target)
    return target


@pytest.fixture(scope="module")
def built(copy: Path) -> Path:
    """The folder with the sdist, and with the wheel that was built from the sdist alone."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", copy.parent / "dist", cwd=copy)
    return copy.parent / "dist"


def empty_environment(folder: Path) -> Path:
    """The interpreter of a new environment without packages, which sees the dependencies in this one's."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    site = next(folder.glob("lib/python*/site-packages"))
    # addsitedir would also run this environment's own .pth files, among them that of an editable mindveil.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def install(python: Path, *what: str | Path, cwd: Path) -> None:
    options = ("--no-deps", "--ignore-installed", "--no-build-isolation", "--no-index", "--quiet")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, *what, cwd=cwd)


def test_the_list_of_packages_equals_the_folders_on_disk(root: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent for folder in FOLDERS for path in (root / folder).rglob("__init__.py")}
    names = {f"mindveil.{'.'.join(folder.relative_to(root).parts)}" for folder in folders}
    assert set(settings["packages"]) == names | {"mindveil"}
    assert len(settings["packages"]) == len(set(settings["packages"]))


def test_every_folder_with_python_files_is_a_package(root: Path) -> None:
    folders = {path.parent for folder in FOLDERS for path in (root / folder).rglob("*.py")}
    assert {folder for folder in folders if not (folder / "__init__.py").is_file()} == set()


def test_the_links_lead_to_the_folders_at_the_top(root: Path) -> None:
    for folder in FOLDERS:
        link = root / "src" / "mindveil" / folder
        assert (link / "__init__.py").read_text() == (root / folder / "__init__.py").read_text()


def test_the_wheel_holds_exactly_the_files_of_the_packages(built: Path, copy: Path) -> None:
    (wheel,) = built.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == tree_files(copy)


def test_the_sdist_holds_what_the_wheel_is_built_from(built: Path, copy: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    wanted = {name.removeprefix("mindveil/") for name in tree_files(copy)} - {"__init__.py", "py.typed"}
    wanted |= {"src/mindveil/__init__.py", "src/mindveil/py.typed", "pyproject.toml", "README.md", "LICENSE"}
    assert wanted - held == set()
    assert {name for name in held if name.endswith((".py", *DATA_ENDINGS))} - wanted == set()


def test_the_wheel_works_in_an_environment_of_its_own(built: Path, tmp_path: Path) -> None:
    python = empty_environment(tmp_path / "environment")
    install(python, *built.glob("*.whl"), cwd=tmp_path)
    place, has_source, clean = run(python, "-W", "error", "-c", USE, cwd=tmp_path).split()
    assert Path(place).is_relative_to(tmp_path)
    assert (has_source, clean) == ("True", "True")
    assert "doctor" in run(python.parent / "mindveil", "--help", cwd=tmp_path)


def test_an_editable_installation_uses_the_tree_itself(copy: Path, tmp_path: Path) -> None:
    python = empty_environment(tmp_path / "environment")
    install(python, "--editable", copy, cwd=tmp_path)
    place, has_source, clean = run(python, "-W", "error", "-c", USE, cwd=tmp_path).split()
    assert Path(place).is_relative_to(copy)
    assert (has_source, clean) == ("True", "True")
