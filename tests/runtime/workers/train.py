"""What each worker runs: several small trainings, whose results it writes to the folder that it is given."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn
from mindspore.communication import get_group_size, get_rank, init

from mindveil.accountant import BudgetExceeded, Ledger
from mindveil.runtime import (
    DPSGD,
    LipschitzDP,
    PoissonBatches,
    PrivateModel,
    PrivateStep,
    Suppression,
    checkpoint,
    lipdp,
)
from mindveil.runtime.policies import AdaptiveClipNorm

RECORDS, FEATURES, CLASSES, RATE, STEPS, WIDE = 64, 20, 4, 0.5, 4, 300
LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
Found = dict[str, Any]


class Worker:
    """One of ``size``; ``folder`` is the same for all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rank, self.size = 0, 1
        if os.environ.get("MS_WORKER_NUM"):
            init()
            self.rank, self.size = get_rank(), get_group_size()
        rng = np.random.default_rng(0)
        images = rng.normal(size=(RECORDS, FEATURES)).astype(np.float32)
        self.arrays = images, rng.integers(0, CLASSES, RECORDS).astype(np.int32)

    def step(self, noise: float = 1.0, masks: tuple[Any, ...] = (), **settings: Any) -> PrivateStep:
        """A step over a network that begins elsewhere on every worker."""
        ms.set_seed(self.rank)
        np.random.seed(self.rank)
        network = nn.SequentialCell(nn.Dense(FEATURES, 8), nn.ReLU(), nn.Dense(8, CLASSES))
        settings = {"clip_norm": 0.5, "noise_seed": 7, "workers": self.size, **settings}
        ledger = settings.pop("ledger", None)
        policy = DPSGD(noise_multiplier=noise, sampling_rate=RATE, dataset_size=RECORDS, **settings)
        optimizer = nn.Momentum(network.trainable_params(), 0.5, 0.9)
        return PrivateStep(network, LOSS, optimizer, [policy, *masks], ledger=ledger)

    def batches(self, rows: int = 16, steps: int = STEPS, shard: int | None = None) -> PoissonBatches:
        """This worker's part of draws that do not depend on the number of workers."""
        return PoissonBatches(
            self.arrays,
            sampling_rate=RATE,
            physical_batch=rows,
            steps=steps,
            seed=3,
            num_shards=self.size,
            shard_id=self.rank if shard is None else shard,
        )


def values(step: PrivateStep) -> Found:
    """The parameters and the optimizer's state."""
    together = [*step.network.get_parameters(), *step.optimizer.get_parameters()]
    return {p.name: p.asnumpy() for p in together}


def trained(step: PrivateStep, batches: Any) -> Found:
    """After all batches."""
    for batch in batches:
        step(*batch)
    return values(step)


def noised(worker: Worker) -> Found:
    """What two updates without any record move, in units of the clip norm; at a learning rate of 1."""
    network = nn.Dense(WIDE, WIDE, has_bias=False)
    policy = DPSGD(0.5, 3.0, sampling_rate=0.001, dataset_size=1000, workers=worker.size)
    step = PrivateStep(network, nn.MSELoss(), nn.SGD(network.trainable_params(), 1.0), [policy])
    rows, moved = np.zeros((4, WIDE), np.float32), []
    for _ in range(2):
        before = network.weight.asnumpy().copy()
        step(rows, rows, np.zeros(4, np.float32))
        moved.append((network.weight.asnumpy() - before) / 0.5)
    return {"moved": np.array(moved), "released": repr(step.events)}


def lipschitz(worker: Worker) -> Found:
    """A network without clipping."""
    np.random.seed(worker.rank)
    layers = [lipdp.DP_BoundedInput(upper_bound=3.0), lipdp.DP_QuickSpectralDense(CLASSES)]
    model = lipdp.DP_Model(
        layers,
        dp_parameters=lipdp.DPParameters("global", 1.0, 1e-5),
        dataset_metadata=lipdp.DatasetMetadata((FEATURES,), CLASSES, RECORDS, batch_size=RECORDS // 2),
    )
    policy = LipschitzDP(1.0, RATE, RECORDS, noise_seed=7, workers=worker.size)
    optimizer = nn.SGD(model.trainable_params(), 0.5)
    return trained(PrivateStep(model, lipdp.DP_TauCategoricalCrossentropy(2.0), optimizer, [policy]), worker.batches())


def resumed(worker: Worker) -> Found:
    """Half of the steps, a checkpoint that the first worker writes, and the other half from it."""
    path, batches = worker.folder / "run.ckpt", worker.batches(rows=64)
    step = worker.step()
    for _ in range(STEPS // 2):
        step(*next(batches))
    if worker.rank == 0:
        checkpoint.save(path, step, batches)
    step.workers.agree(None, "saved", [], list(step.optimizer.parameters))  # until the file is there
    again, rest = worker.step(), worker.batches(rows=64)
    checkpoint.restore(path, again, rest)
    return trained(again, rest)


def stopped(worker: Worker) -> Found:
    """Steps until the first worker's ledger is spent; the others must stop with it."""
    ledger = None
    if worker.rank == 0:
        ledger = Ledger.create(
            worker.folder / f"{worker.size}.jsonl",
            dataset_id="d",
            dataset_size=RECORDS,
            target_epsilon=6.0,
            target_delta=1e-3,
        )
    step = worker.step(ledger=ledger)
    try:
        for batch in worker.batches(rows=64, steps=100):
            step(*batch)
    except BudgetExceeded:
        return {"steps": step.steps_done, **values(step)}
    raise AssertionError("the budget was never exceeded")


def refused(worker: Worker) -> Found:
    """What is not allowed, and what is said about it."""
    whole = next(worker.batches(rows=64))
    late, other, broken = (worker.step() for _ in range(3))
    model = PrivateModel.__new__(PrivateModel)
    model.step = worker.step()
    late.steps_done = worker.rank
    smallest = min(other.optimizer.parameters, key=lambda p: int(p.size))
    smallest.set_data(smallest + worker.rank)
    loud = worker.step(noise=1.0 + worker.rank)
    if worker.rank == 0:
        object.__setattr__(broken, "_account", broken_ledger)
    cases: dict[str, Callable[[], object]] = {
        "count": lambda: worker.step(workers=worker.size + 1),
        "alone": lambda: worker.step(workers=1),
        "plain": lambda: PrivateStep(late.network, LOSS, late.optimizer),
        "late": lambda: late(*whole),
        "weights": lambda: other(*whole),
        "noise": lambda: loud(*whole),
        "early sums": lambda: early(worker),
        "records": lambda: model.train(1, worker.batches(shard=(worker.rank + 1) % worker.size)),
        "ledger": lambda: worker.step(ledger=object()) if worker.rank > 0 else None,
        "broken": lambda: broken(*whole),
    }
    said: Found = {}
    for name, act in cases.items():
        try:
            act()
            said[name] = ""
        except (ValueError, RuntimeError, ArithmeticError) as error:
            said[name] = f"{type(error).__name__}: {error}"
    return said


def broken_ledger(*_: Any) -> None:
    """What a full disk would do."""
    raise ArithmeticError("no more")


class Meeting(nn.Cell):
    """A network that asks all workers for their examples."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Dense(FEATURES, CLASSES)
        self.sum = ms.ops.AllReduce()

    def construct(self, x: Any) -> Any:
        return self.dense(self.sum(x))


def early(worker: Worker) -> None:
    """A sum over workers before anything is clipped."""
    network = Meeting()
    policy = DPSGD(1.0, 1.0, RATE, RECORDS, workers=worker.size)
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 1.0), [policy])
    step.prepare(*(a[:4] for a in worker.arrays))


TRAININGS: dict[str, Callable[[Worker], Found]] = {
    "clipped": lambda w: trained(w.step(), w.batches()),
    "masked": lambda w: trained(w.step(masks=(Suppression(0.5, steps=3, every=1),)), w.batches()),
    "adaptive": lambda w: trained(w.step(adaptive=AdaptiveClipNorm(count_noise=2.0)), w.batches(rows=64)),
    "lipschitz": lipschitz,
    "noised": noised,
    "resumed": resumed,
    "stopped": stopped,
}


def main() -> None:
    """Runs everything, in the same order on every worker."""
    ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")
    worker = Worker(Path(sys.argv[1]))
    for name, training in TRAININGS.items():
        np.savez(worker.folder / f"{name}-{worker.rank}.npz", **training(worker))
    if worker.size > 1:
        (worker.folder / f"refused-{worker.rank}.json").write_text(json.dumps(refused(worker)))


if __name__ == "__main__":
    main()
