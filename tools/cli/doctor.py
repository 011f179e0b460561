"""``mindveil doctor``: whether this machine can do what the other commands need."""

from __future__ import annotations

import typer

from mindveil.tools.cli.findings import Finding, findings

__all__ = ["doctor"]

MARKS = {"ok": typer.colors.GREEN, "advice": typer.colors.YELLOW, "missing": typer.colors.RED}
WIDTH = 16  # of the column of names


def doctor() -> None:
    """Check this machine, and say how to mend what is missing.

    Looks at Python, NumPy, MindSpore, the C++ compiler, the plugin with the graph passes (which is built now if it was
    not yet), MindSpore's compile cache, onnxruntime and the processor. Ends with status 1 if something needed is
    missing.

    Example:

        mindveil doctor
    """
    missing = []
    for finding in findings():
        _show(finding)
        if finding.status == "missing":
            missing.append(finding.name)
    if missing:
        typer.echo(f"\nmindveil: {len(missing)} missing: {', '.join(missing)}", err=True)
        raise typer.Exit(1)
    typer.echo("\nEverything that mindveil needs is here.")


def _show(finding: Finding) -> None:
    mark = typer.style(f"{finding.status:8}", fg=MARKS[finding.status])
    first, *more = finding.detail.splitlines() or [""]
    typer.echo(f"{mark} {finding.name:{WIDTH}} {first}")
    indent = " " * (WIDTH + 10)
    for line in more:
        typer.echo(indent + line)
    if finding.fix:
        typer.echo(f"{indent}fix: {finding.fix}")
