"""kill -9 at random instants: what was released is never missing from the ledger."""

import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mindveil.accountant import Composed, Gaussian, Ledger

KILLS = 200

# A parent that has paid for the imports forks a child for each life, so that a life lasts milliseconds. The child
# writes a byte to the pipe after each append: that is the release, and the reader of the pipe is the adversary.
LIVES = """
import os, signal, sys
from mindveil.accountant import Gaussian, Ledger
import mindveil.accountant.meter, mindveil.accountant.sampled_gaussian

path, event = sys.argv[1], Gaussian(100.0)
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        ledger = Ledger.open(path)
        os.write(1, b"o")
        while True:
            ledger.append(event)
            os.write(1, b"r")
    print("\\n%d" % child, file=sys.stderr, flush=True)
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        sys.exit("a life ended by itself")
    os.write(1, b"|")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where possible: kill -9 spares what a process has written, so no life waits for a busy disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as made:
        yield Path(made)


def test_no_release_is_missing_after_kill_minus_nine(folder: Path) -> None:
    path = folder / "ledger.jsonl"
    event = Gaussian(100.0)
    Ledger.create(path, dataset_id="d", dataset_size=10).close()
    rng = random.Random(5)
    released = lives = 0
    seen = b""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", LIVES, str(path), str(KILLS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as parent:
        if parent.stdout is None or parent.stderr is None:
            raise RuntimeError("the subprocess has no pipes")
        try:
            for _ in range(KILLS):
                child = _next_number(parent.stderr)
                wanted = rng.randrange(0, 4)
                while seen.count(b"r") < wanted or b"o" not in seen:
                    seen += _read(parent)
                # Somewhere inside one of the next few appends: building the line, writing it, syncing it, or after it.
                _spin(rng.random() * 3e-4)
                os.kill(child, signal.SIGKILL)
                while b"|" not in seen:
                    seen += _read(parent)
                # What follows the bar was written by the next life already: a reader that is late gets both at once.
                life, _, seen = seen.partition(b"|")
                released += life.count(b"r")
                lives += 1
        finally:
            parent.kill()
    with Ledger.open(path) as ledger:
        ((spent, count),) = [(part.event, part.steps) for part in ledger.spent.events if isinstance(part, Composed)]
    assert lives == KILLS
    assert spent == event
    assert released > KILLS
    # At most one append a life was under way without having been answered.
    assert released <= count <= released + KILLS


def _read(parent: subprocess.Popen[bytes]) -> bytes:
    data = os.read(parent.stdout.fileno(), 4096)  # type: ignore[union-attr]
    if not data:
        raise RuntimeError(parent.stderr.read().decode(errors="replace"))  # type: ignore[union-attr]
    return data


def _next_number(stream: object) -> int:
    digits = b""
    while not (digits.strip() and digits.endswith(b"\n")):
        digit = os.read(stream.fileno(), 1)  # type: ignore[attr-defined]
        digits += digit
        if not digit or len(digits) > 2000:
            raise RuntimeError(digits.decode(errors="replace"))
    return int(digits)


def _spin(seconds: float) -> None:
    import time

    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
