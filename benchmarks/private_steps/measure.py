"""Times one training step in a process of its own, and says how much memory it needed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

WARM_UP = 3
LEAST_STEPS, MOST_STEPS, SECONDS = 5, 40, 12.0


def report(step: Callable[[], object]) -> None:
    """Prints one line of JSON: processor milliseconds of the fastest step, and megabytes above the start.

    Processor time counts every thread, and leaves out what other programs do on the machine. The first step, which
    compiles, is in the memory and not in the time.
    """
    before = _reset_peak()
    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    for _ in range(WARM_UP - 1):
        step()
    peak = _status("VmHWM")
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < LEAST_STEPS or (len(times) < MOST_STEPS and time.perf_counter() - begin < SECONDS):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    line = {"ms": 1000 * min(times), "mb": peak - before, "first": first, "steps": len(times)}
    print("RESULT " + json.dumps(line), flush=True)


def _reset_peak() -> float:
    """Megabytes resident now; the high-water mark begins anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {name}")
