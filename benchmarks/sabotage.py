"""Breaks each rule of the compiler once, and shows the test that fails for it.

``python benchmarks/sabotage.py`` breaks, one after another: every distinct rule of the operation table, in memory; and
the lines of the source that `sabotages.source_lines` lists, in a copy of the tree. A rule whose break no test notices
is printed as such, and the script ends with an error status.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "passes"))

from sabotages.source_lines import broken_lines  # noqa: E402  the tests must be found first
from sabotages.table_rules import KINDS, broken_rules  # noqa: E402


def main() -> None:
    """Reads the options, breaks, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", nargs="+", default=["rules", "lines"], choices=["rules", "lines"])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), help="of rules of the table")
    options = parser.parse_args()
    os.chdir(ROOT)
    print("python benchmarks/sabotage.py", *sys.argv[1:])
    print(f"MindSpore {version('mindspore')}, Python {platform.python_version()}, {os.cpu_count()} cores", flush=True)
    warnings.simplefilter("ignore")
    begin, unnoticed, total = time.perf_counter(), 0, 0
    if "rules" in options.what:
        for found in broken_rules(options.kinds):
            total, unnoticed = total + 1, unnoticed + (not found.noticed)
            shown = found.operations[0] + (
                f" and {len(found.operations) - 1} more" if len(found.operations) > 1 else ""
            )
            print(f"{found.kind:9} {found.rule:45} {shown:40} {found.noticed or 'NOT NOTICED'}", flush=True)
    if "lines" in options.what:
        for what, noticed in broken_lines(ROOT):
            total, unnoticed = total + 1, unnoticed + (not noticed)
            print(f"{what:75} {noticed or 'NOT NOTICED'}", flush=True)
    print(f"{total} rules broken in {time.perf_counter() - begin:.0f} s, {unnoticed} of them not noticed")
    sys.exit(unnoticed > 0)


main()
