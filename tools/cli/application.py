"""Puts the commands together, and turns whatever goes wrong in one into a message and an exit status."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from mindveil import __version__
from mindveil.tools.cli.attack_files import attack_files
from mindveil.tools.cli.budget import budget
from mindveil.tools.cli.demo import demo
from mindveil.tools.cli.doctor import doctor
from mindveil.tools.cli.explain_step import explain_step
from mindveil.tools.cli.export_file import export_file
from mindveil.tools.cli.inspect_file import inspect_file
from mindveil.tools.cli.train import train

__all__ = ["COMMANDS", "INTERRUPTED", "application", "main"]

#: Name of each command and what runs it, in the order of the help.
COMMANDS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("demo", demo),
    ("train", train),
    ("export", export_file),
    ("attack", attack_files),
    ("inspect", inspect_file),
    ("explain", explain_step),
    ("budget", budget),
    ("doctor", doctor),
)

DEBUG = "--debug"
FAILED = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
TERMINATED = 143  # 128 + SIGTERM

#: What an error of the user, the data or the machine is raised as. Anything else is a fault of the program.
EXPECTED = (OSError, ValueError, ArithmeticError, RuntimeError, ImportError)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and ends the process.

    Exit status: 0 done, 1 failed with one message on stderr, 2 wrong usage, 130 interrupted (Ctrl-C), 143 terminated.
    ``--debug``, anywhere on the line, shows the traceback.

    Args:
        arguments: the words after ``mindveil``; those of the process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        application()(args=[word for word in words if word != DEBUG], prog_name="mindveil")
    except SystemExit as end:
        sys.exit(_say_stopped(end.code) if end.code in (INTERRUPTED, TERMINATED) else end.code)
    except KeyboardInterrupt:
        sys.exit(_say_stopped(INTERRUPTED))
    except Exception as error:  # noqa: BLE001  the last resort: no traceback reaches a user who did not ask for it
        if DEBUG in words:
            traceback.print_exc()
        typer.echo(message_of(error), err=True)
        sys.exit(FAILED)
    sys.exit(0)


def application() -> typer.Typer:
    """The commands as a Typer application."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_mindveil)
    for name, command in COMMANDS:
        app.command(name)(command)
    return app


def message_of(error: Exception) -> str:
    """One clear message for an error, without its traceback."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"mindveil: {error.filename}: {error.strerror}"
    if isinstance(error, EXPECTED) and str(error):
        return f"mindveil: {error}"
    return (
        f"mindveil: internal error: {type(error).__name__}: {error}\n"
        f"This is a fault of mindveil, or of a model or data file that it was given; {DEBUG} shows where it happened."
    )


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mindveil {__version__}")
        raise typer.Exit


def _mindveil(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
    debug: Annotated[
        bool, typer.Option(DEBUG, help="Show the traceback of an error; works after a command too.")
    ] = False,
) -> None:
    """Hardens the privacy of neural networks, from training to deployment.

    A first look: `mindveil doctor` checks this machine.
    """
    # ``debug`` is taken off the line before it gets here; it is declared for the help.


def _say_stopped(status: int) -> int:
    # While MindSpore compiles, it turns Ctrl-C into SIGTERM, so that the two cannot always be told apart.
    word = "interrupted" if status == INTERRUPTED else "terminated"
    typer.echo(f"mindveil: {word}; files that were not finished are gone", err=True)
    return status


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    # An exception, unlike the signal's default, runs the clean-up of unfinished files.
    raise SystemExit(TERMINATED)
