"""The tutorials' accuracies on the full MNIST: ordinary, suppressed and differentially private LeNet5.

``python benchmarks/headline.py --data FOLDER`` runs the scripts of ``examples/`` as they stand, on all 60,000 images,
with a seed of their own, and prints the accuracy of the last epoch. Of the suppressed network it also counts the zeros
of each layer. ``written out`` is the private script with MindArmour's own step in place of this library's. FOLDER
holds the four idx files of MNIST, compressed or not.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ALL_IMAGES = {
    '"num_samples": 4000': '"num_samples": 60000',
    '"save_checkpoint_steps": 15': '"save_checkpoint_steps": 234',
    "_lenet-10_15.ckpt": "_lenet-10_234.ckpt",
}
WITHOUT_MINDVEIL = {
    "ClipMechanismsFactory, DPModel, Noise": "ClipMechanismsFactory, Noise",
    "from mindveil.runtime.log": "from written_out import DPModel\nfrom mindveil.runtime.log",
    "LossMonitor(), rdp_monitor]": "LossMonitor()]",
}
SCRIPTS = {
    "ordinary": ("train_lenet5.py", {}, 98.8),
    "suppressed": ("suppress_lenet5.py", {}, 97.9),
    "private": ("dp_lenet5.py", ALL_IMAGES, 96.98),
    "written out": ("dp_lenet5.py", ALL_IMAGES | WITHOUT_MINDVEIL, 96.98),
}
LAYERS = {"conv1": 150, "conv2": 2400, "fc1": 48000, "fc2": 10080, "fc3": 840}
LEAST_LEFT = {"conv1": 10, "conv2": 50, "fc3": 50}
SPARSITY = 0.95


def unpack(source: Path, target: Path) -> None:
    """MNIST's own files in the folders ``train`` and ``test``."""
    for part, prefix in (("train", "train"), ("test", "t10k")):
        (target / part).mkdir(parents=True)
        for name in (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"):
            if (source / name).exists():
                shutil.copyfile(source / name, target / part / name)
            else:
                with gzip.open(source / f"{name}.gz") as packed:
                    (target / part / name).write_bytes(packed.read())


def run(folder: Path, what: str, seed: int) -> tuple[float, float, str]:
    """Accuracy in percent, seconds, and what else the run printed that matters."""
    name, changes, _ = SCRIPTS[what]
    text = (ROOT / "examples" / name).read_text()
    for old, new in changes.items():
        if old not in text:
            raise RuntimeError(f"{name} does not hold {old!r}")
        text = text.replace(old, new)
    start = f"import mindspore\n\nmindspore.set_seed({seed})\n"
    (folder / name).write_text(text.replace("import mindspore", start + "import mindspore", 1))
    shutil.rmtree(folder / "trained_ckpt_file", ignore_errors=True)
    begin = time.perf_counter()
    path = f"{ROOT / 'src'}{os.pathsep}{ROOT / 'benchmarks' / 'private_steps'}"
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, name], cwd=folder, env=environment, capture_output=True, text=True)
    found = re.search(r"Accuracy: \{'Accuracy': ([0-9.]+)\}", done.stderr)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"{name} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    detail = zeros(folder) if what == "suppressed" else epsilon(done.stdout) if what == "private" else ""
    return 100 * float(found[1]), time.perf_counter() - begin, detail


def zeros(folder: Path) -> str:
    """The zeros of each layer beside the least that the sparsity asks for.

    Raises:
        RuntimeError: a layer has too few.
    """
    import mindspore

    saved = mindspore.load_checkpoint(str(folder / "trained_ckpt_file" / "checkpoint_lenet-10_1875.ckpt"))
    shown = []
    for layer, size in LAYERS.items():
        found = int((saved[f"{layer}.weight"].asnumpy() == 0).sum())
        wanted = min(int(size * SPARSITY), size - LEAST_LEFT.get(layer, 0))
        if found < wanted:
            raise RuntimeError(f"{layer} has {found} zeros, and should have {wanted}")
        shown.append(f"{layer} {found} of {size}")
    return "zeros: " + ", ".join(shown)


def epsilon(printed: str) -> str:
    """The last line of the monitor."""
    return [line for line in printed.splitlines() if "delta is" in line][-1]


def main() -> None:
    """Runs every script with every seed, and prints mean and spread beside the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--scripts", nargs="+", choices=list(SCRIPTS), default=list(SCRIPTS))
    options = parser.parse_args()
    print("python benchmarks/headline.py", *[a if "/" not in a else Path(a).name for a in sys.argv[1:]])
    print(f"MindSpore {version('mindspore')}, Python {platform.python_version()}, {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unpack(options.data, folder / "MNIST_unzip")
        for what in options.scripts:
            reached = []
            for seed in options.seeds:
                accuracy, seconds, detail = run(folder, what, seed)
                reached.append(accuracy)
                print(f"{what:10} seed {seed}: {accuracy:.2f} % after {seconds:.0f} s  {detail}", flush=True)
            mean, target = float(np.mean(reached)), SCRIPTS[what][2]
            outcome = "met" if mean >= target else "NOT MET"
            print(
                f"{what:10} mean {mean:.2f} %, from {min(reached):.2f} to {max(reached):.2f} %; wanted >= {target} %:"
                f" {outcome}",
                flush=True,
            )


main()
