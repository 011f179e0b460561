"""``mindveil demo``: the whole job on real images, from training to the report."""

from __future__ import annotations

from mindveil.tools.cli.arguments import Config, Data, Epsilon, Name, Overwrite, Runs, Seed
from mindveil.tools.cli.run_command import run

__all__ = ["demo"]


def demo(
    config: Config = None,
    data: Data = None,
    name: Name = None,
    runs: Runs = None,
    epsilon: Epsilon = None,
    seed: Seed = None,
    overwrite: Overwrite = False,
) -> None:
    """Train, account for, export and attack four models, and write the report.

    Trains LeNet5 four times: ordinary, suppressed (95 % of the weights set to zero), with differentially private
    gradients, and with both; exports each to ONNX and compares it with MindSpore; attacks the files under onnxruntime;
    and puts it all on one page, runs/demo/report.html. It takes some minutes on two cores.

    Examples:

        mindveil demo

        mindveil demo --data ~/mnist --name full --epsilon 3

        mindveil demo run.toml --overwrite
    """
    options = {"data.source": data, "name": name, "runs": runs, "private.epsilon": epsilon, "seed": seed}
    run(config, {**options, "overwrite": overwrite or None})
