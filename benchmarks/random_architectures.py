"""Random networks from the operation table: the compiled private step beside one example at a time.

``python benchmarks/random_architectures.py --number 200`` draws networks (the tests draw the first 30), runs one
clipped step of each without noise, and compares every parameter's update with a reference that differentiates a batch
of one for each example and clips in NumPy. It ends with an error status if one differs by more than its tolerance.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "passes"))

from operations.architectures import draw
from operations.brute_force import compare


def main() -> None:
    """Reads the options, compares, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print("python benchmarks/random_architectures.py", *sys.argv[1:])
    print(f"MindSpore {version('mindspore')}, Python {platform.python_version()}, {os.cpu_count()} cores", flush=True)
    layers, errors, wrong, begin = Counter[str](), [], 0, time.perf_counter()
    for seed in range(options.first, options.first + options.number):
        drawn = draw(seed)
        result = compare(drawn.case)
        layers.update(drawn.layers)
        errors.append(result.worst)
        if not (result.worst <= drawn.case.tolerance and 0 < result.clipped < result.rows):
            wrong += 1
            print(f"seed {seed}: error {result.worst:.1e}, {result.clipped} of {result.rows} clipped: {drawn.layers}")
    errors.sort()
    print(f"{options.number} networks in {time.perf_counter() - begin:.0f} s, {wrong} of them wrong")
    print(f"relative error of an update: median {errors[len(errors) // 2]:.1e}, largest {errors[-1]:.1e}")
    print(f"{sum(layers.values())} layers of {len(layers)} kinds:")
    for name, count in sorted(layers.items()):
        print(f"{count:5} {name}")
    sys.exit(wrong > 0)


main()
