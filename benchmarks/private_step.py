"""Time and peak memory of private training steps, MindSpore and PyTorch side by side.

``python benchmarks/private_step.py --peers DIR`` prints, for each network and batch, MindSpore's stock ordinary step,
the ordinary step with this product's kernels (``lower=True``) and the private step with noise, and beside them
PyTorch's ordinary step, Opacus with hooks and with ghost clipping, fastDP and a ``vmap(grad)`` by hand, and
MindArmour's scheme of micro-batches on MindSpore. DIR is a folder for the environment of the peers, made if it is not
there. fastDP is not on the package index: ``--fastdp CHECKOUT`` names a copy of its repository.

Every measurement is a process of its own, since two compiled steps in one process disturb each other; the variants take
turns, and the least of the rounds counts. One thread; times are processor times, so that other work on the machine
counts for neither side.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from math import isinf
from pathlib import Path

HERE = Path(__file__).parent / "private_steps"
NETWORKS = ("LeNet5", "MLP", "ResNet-20", "transformer")
OURS = ("stock", "lowered", "private", "micro-batches")
PEERS = ("plain", "Opacus hooks", "Opacus ghost", "functorch", "fastDP")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
REQUIREMENTS = ("torch==2.13.0", "opacus==1.6.0", "transformers", "prv-accountant", "numpy<2", "scipy")

#: private over stock, private over lowered; at batch 256, ResNet-20 at 64.
TARGETS = {
    "LeNet5": (256, 0.90, 1.05),
    "MLP": (256, 1.12, 1.12),
    "ResNet-20": (64, 0.95, 1.10),
    "transformer": (256, 1.3, None),
}
#: Unrolling 32 micro-batches of these compiles for longer than the limit.
TOO_LONG = {("micro-batches", "ResNet-20"), ("micro-batches", "transformer")}


@dataclass
class Best:
    """The least of the rounds."""

    ms: float = float("inf")
    mb: float = float("inf")
    first: float = float("inf")
    error: str = ""

    def update(self, line: dict[str, float]) -> None:
        """Takes in one round."""
        self.ms, self.mb, self.first = (
            min(self.ms, line["ms"]),
            min(self.mb, line["mb"]),
            min(self.first, line["first"]),
        )


def measure(command: list[str], environment: dict[str, str], limit: float) -> dict[str, float] | str:
    """What one process printed, or why it printed nothing."""
    try:
        done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"longer than {limit:.0f} s"
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return dict(json.loads(line.removeprefix("RESULT ")))
    last = [line for line in done.stderr.splitlines() if line.strip()]
    return last[-1][:100] if last else f"exit status {done.returncode}"


def peers(folder: Path) -> str:
    """The interpreter of the peers' environment, made and filled when it is not there."""
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for requirement in REQUIREMENTS:  # torch first and alone, so that no other package chooses its build
            subprocess.run([str(interpreter), "-m", "pip", "install", "-q", requirement], check=True)
    return str(interpreter)


def run(options: argparse.Namespace) -> dict[tuple[str, str, int], Best]:
    """All measurements, in turn."""
    results: dict[tuple[str, str, int], Best] = defaultdict(Best)
    torch_python = peers(Path(options.peers)) if options.peers else ""
    for name in options.networks:
        for batch in options.batches:
            for _ in range(options.rounds if batch == TARGETS[name][0] else options.other_rounds):
                for variant in [v for v in (*OURS, *PEERS) if v in options.variants]:
                    once(results[variant, name, batch], (variant, name, batch), torch_python, options)
            table(results, name, batch)
    return results


def once(best: Best, case: tuple[str, str, int], torch_python: str, options: argparse.Namespace) -> None:
    """One process more for a case, unless it cannot run."""
    variant, name, batch = case
    if (variant, name) in TOO_LONG:
        best.error = "not run: compiles too long"
    elif variant == "fastDP" and not options.fastdp:
        best.error = "not installed: not on the package index"
    elif variant in PEERS and not torch_python:
        best.error = "not run: no --peers"
    if best.error:
        return
    environment = dict(os.environ, **dict.fromkeys(THREADS, "1"))
    if variant in PEERS:
        command = [torch_python, "torch_steps.py"]
        environment["PYTHONPATH"] = options.fastdp
    else:
        command = [sys.executable, "mindspore_steps.py"]
    line = measure([*command, variant, name, str(batch)], environment, options.limit)
    if isinstance(line, str):
        best.error = line
    else:
        best.update(line)


def table(results: dict[tuple[str, str, int], Best], name: str, batch: int) -> None:
    """Prints one network at one batch."""
    stock = results["stock", name, batch]
    torch_plain = results["plain", name, batch]
    print(f"\n{name}, batch {batch}\n{'':16} {'ms':>9} {'of plain':>9} {'MB':>8} {'of plain':>9} {'first step, s':>14}")
    for (variant, n, b), best in results.items():
        if (n, b) != (name, batch):
            continue
        label = {"plain": "PyTorch plain", "stock": "MindSpore stock"}.get(variant, variant)
        if best.error:
            print(f"{label:16} {best.error}")
            continue
        base = torch_plain if variant in PEERS else stock
        print(
            f"{label:16} {best.ms:9.1f} {best.ms / base.ms:9.2f} {best.mb:8.0f} {best.mb / base.mb:9.2f}"
            f" {best.first:14.1f}",
            flush=True,
        )


def verdict(results: dict[tuple[str, str, int], Best]) -> None:
    """Prints each target with what was measured."""
    print("\ntargets")
    for name, (batch, over_stock, over_lowered) in TARGETS.items():
        row = {variant: results[variant, name, batch] for variant in (*OURS, *PEERS)}
        private = row["private"]
        fastest = min(row[v].ms for v in PEERS if v != "plain")
        for what, got, base, wanted in (
            ("time, private / stock", private.ms, row["stock"].ms, over_stock),
            ("time, private / lowered", private.ms, row["lowered"].ms, over_lowered),
            ("time, private / fastest private PyTorch", private.ms, fastest, 1.0),
            ("memory, private / stock", private.mb, row["stock"].mb, 1.3),
            ("memory, private / Opacus ghost", private.mb, row["Opacus ghost"].mb, 1.0),
        ):
            if isinf(got) or isinf(base):
                print(f"{name:12} {what:40} not measured")
            elif wanted is None:
                print(f"{name:12} {what:40} {got / base:6.2f}")
            else:
                outcome = "met" if got / base <= wanted else "NOT MET"
                print(f"{name:12} {what:40} {got / base:6.2f}  wanted <= {wanted:.2f}  {outcome}")


def main() -> None:
    """Reads the options, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 256, 1024])
    parser.add_argument("--variants", nargs="+", default=[*OURS, *PEERS], choices=[*OURS, *PEERS])
    parser.add_argument("--rounds", type=int, default=3, help="processes of a variant, at the batches with a target")
    parser.add_argument("--other-rounds", type=int, default=1, help="processes of a variant at other batches")
    parser.add_argument("--limit", type=float, default=240, help="seconds that one process may take")
    parser.add_argument("--peers", default="", help="folder of the peers' environment")
    parser.add_argument("--fastdp", type=lambda p: str(Path(p).resolve()), default="", help="a checkout of fastDP")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # every process that it starts stays on this core
    shown = [a if "/" not in a else Path(a).name.upper() for a in sys.argv[1:]]
    print("python benchmarks/private_step.py", *shown)
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, one thread")
    verdict(run(options))


main()
