"""What suppression and differential privacy cost LeNet5 a step, beside ordinary training and beside MindArmour's ways.

``python benchmarks/seed_speed.py``. Every way runs in processes of its own, in turn, on one core; the least of the
rounds counts. Steps of suppressed training include an update of the masks every fifteen steps, as in the tutorial.
MindArmour itself does not install beside MindSpore 2.10: its ways are written out in ``private_steps/seed_steps.py``.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

STEPS = Path(__file__).parent / "private_steps" / "seed_steps.py"
#: Way, what it is compared with, and the most that it may cost.
ROWS = [
    ("ordinary, batch 32", None, None),
    ("suppressed", "ordinary, batch 32", 1.05),
    ("suppressed from PyNative mode", "ordinary, batch 32", 1.05),
    ("suppressed as MindArmour does", "ordinary, batch 32", None),
    ("ordinary, batch 256", None, None),
    ("private, 32 groups", "ordinary, batch 256", None),
    ("private, each record", "ordinary, batch 256", 0.90),
    ("private as MindArmour does, 32 groups", "ordinary, batch 256", None),
]


def milliseconds(way: str) -> float:
    """What one process measured."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, str(STEPS), way], env=os.environ | threads, capture_output=True, text=True, check=False
    )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return float(line.removeprefix("RESULT "))
    raise RuntimeError(f"{way} ended with status {done.returncode}:\n{done.stderr[-2000:]}")


def main() -> None:
    """Measures in turn, and prints each way beside what it is compared with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="processes of each way")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # every process that it starts stays on this core
    print("python benchmarks/seed_speed.py")
    print(f"MindSpore {version('mindspore')}, Python {platform.python_version()}, {os.cpu_count()} cores, one used")
    best: dict[str, float] = {}
    for _ in range(options.rounds):
        for way, _, _ in ROWS:
            best[way] = min(best.get(way, float("inf")), milliseconds(way))
    for way, base, most in ROWS:
        line = f"{way:38} {best[way]:8.2f} ms a step"
        if base is not None:
            ratio = best[way] / best[base]
            line += f"  {ratio:6.3f} of ordinary"
            if most is not None:
                line += f"  wanted <= {most:.2f}: {'met' if ratio <= most else 'NOT MET'}"
        print(line)


main()
