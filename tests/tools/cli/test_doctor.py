"""The doctor finds what is broken, says how to mend it, and ends with the right status."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from mindveil.tools.cli import doctor as doctor_module
from mindveil.tools.cli import findings as findings_module
from mindveil.tools.cli.doctor import doctor
from mindveil.tools.cli.findings import CHECKS, Finding, findings

Patch = pytest.MonkeyPatch


def installed(patch: Patch, versions: dict[str, str | None]) -> None:
    """Makes packages look as if they had other versions, None for not installed."""
    version = importlib.metadata.version

    def pretend(name: str) -> str:
        if versions.get(name, "") is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions.get(name) or version(name)

    patch.setattr(importlib.metadata, "version", pretend)


def broken(patch: Patch, module: str) -> None:
    real = importlib.import_module

    def pretend(name: str) -> Any:
        if name == module:
            raise ImportError("undefined symbol")
        return real(name)

    patch.setattr(importlib, "import_module", pretend)


def test_on_this_machine_nothing_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    doctor()
    assert "Everything that mindveil needs is here." in capsys.readouterr().out


def old_python(patch: Patch) -> None:
    info = namedtuple("info", "major minor")
    patch.setattr(sys, "version_info", info(3, 9))


CASES: list[tuple[str, str, Callable[[Patch], None], str, str]] = [
    ("Python", "missing", old_python, "", "use CPython 3.10, 3.11, 3.12"),
    (
        "NumPy",
        "missing",
        lambda p: installed(p, {"numpy": "2.1.0"}),
        "2.1.0, but MindSpore 2.10.0 is",
        '"numpy>=1.26,<2"',
    ),
    ("NumPy", "missing", lambda p: installed(p, {"numpy": None}), "not installed", '"numpy>=1.26,<2"'),
    ("MindSpore", "missing", lambda p: installed(p, {"mindspore": None}), "not installed", "mindspore==2.10.0"),
    ("MindSpore", "missing", lambda p: installed(p, {"mindspore": "2.4.0"}), "2.4.0, but the", "mindspore==2.10.0"),
    ("MindSpore", "missing", lambda p: broken(p, "mindspore"), "cannot be imported: undefined", "--force-reinstall"),
    ("C++ compiler", "missing", lambda p: p.setenv("CXX", "no-such-compiler"), "no-such-compiler", "g++"),
    ("Compile cache", "missing", lambda p: p.setenv("MS_COMPILER_CACHE_ENABLE", "1"), "COMPILER_CACHE", "unset"),
    ("onnxruntime", "missing", lambda p: installed(p, {"onnxruntime": None}), "not installed", "onnxruntime>=1.20"),
    ("onnxruntime", "missing", lambda p: broken(p, "onnxruntime"), "cannot be imported", "onnxruntime>=1.20"),
    ("Other packages", "missing", lambda p: installed(p, {"mlxtend": None}), "mlxtend not", "pip install mlxtend"),
]


def finding_of(name: str) -> Finding:
    (finding,) = (finding for check in CHECKS if (finding := check()).name == name)
    return finding


@pytest.mark.parametrize(("name", "status", "spoil", "detail", "fix"), CASES)
def test_a_fault_is_found_and_mended(
    name: str, status: str, spoil: Callable[[Patch], None], detail: str, fix: str, monkeypatch: Patch
) -> None:
    assert finding_of(name).status == "ok"
    spoil(monkeypatch)
    finding = finding_of(name)
    assert finding.status == status
    assert detail in finding.detail
    assert fix in finding.fix


def test_a_plugin_that_cannot_be_built_is_missing(monkeypatch: Patch) -> None:
    from mindveil.passes.bridge import plugin

    monkeypatch.setattr(plugin, "plugin_status", lambda: plugin.PluginStatus(False, "no compiler"))
    finding = finding_of("Graph passes")
    assert (finding.status, finding.detail) == ("missing", "no compiler")
    assert "public training" in finding.fix


@pytest.mark.parametrize(
    ("flags", "value", "status"),
    [
        (["avx2"], None, "ok"),
        (["avx512f"], "AVX2", "ok"),
        (["avx512f"], None, "advice"),
        (["amx_tile"], "AVX512_CORE", "advice"),
    ],
)
def test_processors_with_slow_convolutions_get_an_advice(
    flags: list[str], value: str | None, status: str, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(findings_module, "_processor_flags", lambda: flags)
    if value is None:
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    else:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", value)
    finding = findings_module.check_convolutions()
    assert finding.status == status
    assert ("ONEDNN_MAX_CPU_ISA=AVX2" in finding.fix) == (status == "advice")


def test_the_processor_flags_are_those_of_the_machine() -> None:
    wanted = Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    assert all(flag in wanted for flag in findings_module._processor_flags())


def test_something_missing_ends_with_status_1_and_names_it(
    monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Finding("A", "ok", "1.0"), Finding("B", "missing", "first\nsecond", "do this")]
    monkeypatch.setattr(doctor_module, "findings", lambda: iter(found))
    with pytest.raises(typer.Exit) as end:
        doctor()
    output = capsys.readouterr()
    assert end.value.exit_code == 1
    assert "fix: do this" in output.out
    assert output.err == "\nmindveil: 1 missing: B\n"


def test_an_advice_alone_is_no_failure(monkeypatch: Patch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor_module, "findings", lambda: iter([Finding("A", "advice", "slow", "set x")]))
    doctor()
    assert "fix: set x" in capsys.readouterr().out


def test_whatever_is_not_ok_says_how_to_mend_it() -> None:
    assert all(finding.fix for finding in findings() if finding.status != "ok")
