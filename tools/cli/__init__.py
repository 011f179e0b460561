"""The command line, the only place that prints; each command is a file of its own, ``application`` lists them."""

from mindveil.tools.cli.application import main

__all__ = ["main"]
