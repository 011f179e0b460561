"""No private or suppressed step without the passes: what happens where they cannot be built, called or trusted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

import mindveil.runtime  # noqa: F401  prepares the process before MindSpore is imported
from mindveil.passes.bridge import plugin
from mindveil.passes.privacy import PrivacyError
from mindveil.runtime import DPSGD, PrivateStep
from mindveil.runtime.marker import MindveilStep

LOSS = nn.MSELoss()
ROOT = Path(__file__).resolve().parents[2]

WITHOUT_COMPILER = """
import mindveil.runtime
import numpy as np
from mindspore import nn
from mindveil.passes.bridge.plugin import PluginError, plugin_status
from mindveil.runtime import DPSGD, PrivateStep, Suppression

rows = np.ones((4, 3), np.float32)
def step(policies):
    network = nn.Dense(3, 3)
    return PrivateStep(network, nn.MSELoss(), nn.SGD(network.trainable_params(), 0.1), policies)
for policy in (DPSGD(1.0, 1.0, 0.1, 40), Suppression(sparsity=0.5, steps=4)):
    try:
        step([policy])
    except PluginError as error:
        print("refused:", error)
print("status:", plugin_status().available)
print("loss:", step([])(rows, rows))
"""


def private_step(network: nn.Cell) -> PrivateStep:
    """A private step over a network."""
    return PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.1), [DPSGD(1.0, 1.0, 0.1, 40)])


@pytest.mark.parametrize(
    ("compiler", "reason"), [("/nowhere/g++", "apt-get install g++"), ("/bin/false", "ended with status 1")]
)
def test_without_a_compiler_only_public_training_starts(tmp_path: Path, compiler: str, reason: str) -> None:
    environment = os.environ | {"CXX": compiler, "MINDVEIL_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.count("refused: the graph passes could not be built") == 2
    assert done.stdout.count(reason) == 2
    assert "status: False" in done.stdout
    assert "loss: " in done.stdout
    assert not list(tmp_path.glob("*.so*"))


def test_the_compile_cache_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    step = private_step(nn.Dense(3, 3))
    rows = np.ones((4, 3), np.float32)
    monkeypatch.setenv("MS_COMPILER_CACHE_ENABLE", "1")
    with pytest.raises(PrivacyError, match="unset it"):
        step(rows, rows)
    monkeypatch.delenv("MS_COMPILER_CACHE_ENABLE")
    ms.set_context(enable_compile_cache=True)
    try:
        with pytest.raises(PrivacyError, match="set it to False"):
            step(rows, rows)
    finally:
        ms.set_context(enable_compile_cache=False)
    assert step.steps_done == 0


def test_a_graph_that_the_passes_did_not_see_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Dense(3, 3)
    before = network.weight.asnumpy().copy()
    step = private_step(network)
    monkeypatch.setattr(plugin, "_dispatch", lambda document: None)
    rows = np.ones((4, 3), np.float32)
    with pytest.raises((PrivacyError, RuntimeError), match=r"without calling the graph passes|MindveilStep"):
        step(rows, rows)
    np.testing.assert_array_equal(network.weight.asnumpy(), before)


def test_a_compilation_that_the_passes_never_approved_is_refused() -> None:
    guard = private_step(nn.Dense(3, 3))._guard("update")
    object.__setattr__(guard, "cell", SimpleNamespace(compile=lambda *batch: None, current_phase="another"))
    with pytest.raises(PrivacyError, match="without calling the graph passes"):
        guard.prepare(Tensor(np.ones((4, 3), np.float32)))


def test_a_marker_of_no_known_step_is_refused() -> None:
    class Foreign(nn.Cell):
        def __init__(self) -> None:
            super().__init__()
            self.marker = MindveilStep("nobody", ["w"], [], [])

        def construct(self, x: Tensor) -> Tensor:
            return self.marker((x,), x, (), (), ())[0]

    plugin.load()
    with pytest.raises(RuntimeError, match="no policy in this process belongs to"):
        Foreign().compile(Tensor(np.ones(3, np.float32)))


def test_data_in_a_tuple_argument_is_refused() -> None:
    """MindSpore makes constants of tensors inside tuples, so that they would look public."""
    step = private_step(nn.Dense(3, 3))
    with pytest.raises((PrivacyError, TypeError, ValueError, AttributeError)):
        step((np.ones((4, 3), np.float32),), np.ones((4, 3), np.float32))
    assert step.steps_done == 0


def test_an_untrained_parameter_is_public_only_if_declared() -> None:
    def frozen() -> nn.Cell:
        network = nn.SequentialCell(nn.Dense(3, 3), nn.Dense(3, 3))
        for parameter in network[0].get_parameters():
            parameter.requires_grad = False
        return network

    rows = np.ones((4, 3), np.float32)
    network = frozen()
    with pytest.raises(PrivacyError, match="declare it public"):
        private_step(network)(rows, rows)
    names = tuple(p.name for p in network[0].get_parameters())
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.1), [DPSGD(1.0, 1.0, 0.1, 40, public=names)])
    step(rows, rows)
    assert step.steps_done == 1
