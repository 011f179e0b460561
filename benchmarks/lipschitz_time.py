"""What noise costs a Lipschitz network's step: the private step beside the ordinary one, both with their projection.

``python benchmarks/lipschitz_time.py`` times a 784-H-10 network of `mindveil.runtime.lipdp` on one core: with the
sweep's bound, noise and accounting, and trained without any of it by MindSpore's own kernels. Each measurement is a
process of its own, the variants take turns, and the least of the rounds counts, in processor time.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
WANTED = {256: 1.15, 1000: 1.05}
STEPS = 60
#: So small that the projection takes its short way in both variants.
RATE = 1e-4


def timed(variant: str, batch: int, hidden: int) -> float:
    """Milliseconds of one step: the least of many."""
    import mindspore as ms
    import numpy as np
    from mindspore import nn

    from mindveil.runtime import PrivateStep, lipdp

    ms.set_context(mode=ms.GRAPH_MODE)
    model = lipdp.DP_Sequential(
        lipdp.DP_BoundedInput(upper_bound=10.0),
        lipdp.DP_Flatten(),
        lipdp.DP_QuickSpectralDense(hidden),
        lipdp.DP_GroupSort(2),
        lipdp.DP_QuickSpectralDense(10),
        lipdp.DP_ClipGradient(0.05),
        dp_parameters=lipdp.DPParameters("global", 1.0, 1e-5),
        dataset_metadata=lipdp.DatasetMetadata((1, 28, 28), 10, 60_000, batch_size=batch),
        norms="current" if variant == "private, current norms" else "static",
    )
    loss, optimizer = lipdp.DP_TauCategoricalCrossentropy(8.0), nn.Momentum(model.trainable_params(), RATE, 0.9)
    model.compile(loss=loss, optimizer=optimizer)
    rng = np.random.default_rng(0)
    images = rng.random((batch, 1, 28, 28), np.float32)
    labels = rng.integers(0, 10, batch).astype(np.int32)
    step: Callable[..., object] = model.step
    if variant == "ordinary":
        ordinary = PrivateStep(model, loss, optimizer)

        def step(*given: object) -> None:
            ordinary(*given)
            for layer in model.layers_forward_order():
                layer.project()

    found = []
    for _ in range(STEPS):
        begin = time.process_time()
        step(images, labels)
        found.append(time.process_time() - begin)
    return 1000 * min(found)


def main() -> None:
    """Reads the options, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", nargs="+", type=int, default=list(WANTED))
    parser.add_argument("--hidden", nargs="+", type=int, default=[256, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=3, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print("RESULT", timed(options.one[0], int(options.one[1]), int(options.one[2])))
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print("python benchmarks/lipschitz_time.py", *sys.argv[1:])
    print(f"MindSpore {version('mindspore')}, Python {platform.python_version()}, one of {os.cpu_count()} cores")
    variants = ("ordinary", "private", "private, current norms")
    for hidden in options.hidden:
        for batch in options.batches:
            best = dict.fromkeys(variants, float("inf"))
            for _ in range(options.rounds):
                for variant in variants:
                    best[variant] = min(best[variant], measured(variant, batch, hidden))
            for variant in variants:
                ratio = best[variant] / best["ordinary"]
                line = f"784-{hidden}-10, batch {batch:4}, {variant:22} {best[variant]:7.1f} ms  {ratio:.2f}"
                if variant == "private" and batch in WANTED:
                    line += f"  wanted <= {WANTED[batch]}: {'met' if ratio <= WANTED[batch] else 'NOT MET'}"
                print(line, flush=True)


def measured(variant: str, batch: int, hidden: int) -> float:
    """One process."""
    environment = dict(os.environ, **dict.fromkeys(THREADS, "1"))
    command = [sys.executable, __file__, "--one", variant, str(batch), str(hidden)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(next(line for line in done.stdout.splitlines() if line.startswith("RESULT ")).split()[1])


main()
