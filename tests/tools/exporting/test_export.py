"""The public export: a verified file with a card appears, or none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mindspore
import numpy as np
import onnx
import onnxruntime
import pytest
from mindspore import nn, ops

import mindveil
from mindveil.runtime.card import PrivacyCard
from mindveil.runtime.networks import LeNet5
from mindveil.tools import export, inspect
from mindveil.tools.card import CardError
from mindveil.tools.exporting.verify import VerificationError

SHAPE = (1, 1, 32, 32)
KEPT = 0.05


def sparse_lenet(seed: int = 0) -> Any:
    """LeNet5 with 95 % of each weight at zero, as suppression leaves it."""
    mindspore.set_seed(seed)
    network = LeNet5()
    for name, parameter in network.parameters_dict().items():
        if name.endswith("weight"):
            weight = parameter.asnumpy().copy() * 8
            smallest = np.sort(np.abs(weight).reshape(-1))[-max(10, int(weight.size * KEPT))]
            weight[np.abs(weight) < smallest] = 0
            parameter.set_data(mindspore.Tensor(weight))
    return network


def files(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


@pytest.mark.parametrize("optimize", ["none", "size", "speed", "both"])
def test_file_follows_the_network_at_every_level(tmp_path: Path, optimize: Any) -> None:
    network = sparse_lenet()
    report = export(network, tmp_path / "m.onnx", inputs=SHAPE, optimize=optimize)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(5).normal(size=(33, 1, 32, 32)).astype(np.float32)
    network.set_train(False)
    np.testing.assert_allclose(session.run(["logits"], {"x": x})[0], network(mindspore.Tensor(x)).asnumpy(), atol=1e-4)
    assert report.bytes == (tmp_path / "m.onnx").stat().st_size
    assert report.max_difference < 1e-4
    assert "fc1_relu" in report.values
    assert files(tmp_path) == ["m.onnx"]


def test_pruned_and_compact_file_takes_a_fourteenth(tmp_path: Path) -> None:
    network = sparse_lenet()
    plain = export(network, tmp_path / "plain.onnx", inputs=SHAPE, optimize="none")
    small = export(network, tmp_path / "small.onnx", inputs=SHAPE, optimize="size")
    assert small.bytes < plain.bytes / 13
    assert small.parameters < plain.parameters
    found = inspect(tmp_path / "small.onnx")
    assert 0.95 < found.sparsity < 0.98
    assert found.values == inspect(tmp_path / "plain.onnx").values


def test_batch_axis_is_symbolic_in_the_file(tmp_path: Path) -> None:
    export(LeNet5(), tmp_path / "m.onnx", inputs=SHAPE, optimize="none")
    graph = onnx.load(tmp_path / "m.onnx").graph
    for value in (*graph.input, *graph.output, *graph.value_info):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_network_is_left_in_the_mode_it_was_in(tmp_path: Path) -> None:
    network = LeNet5()
    network.set_train(True)
    network.fc1.set_train(False)
    export(network, tmp_path / "m.onnx", inputs=SHAPE, optimize="none")
    assert network.training
    assert network.relu.training
    assert not network.fc1.training


def test_dropout_is_off_in_the_file_and_on_in_the_network(tmp_path: Path) -> None:
    network = nn.SequentialCell(nn.Dense(6, 5), nn.Dropout(p=0.5), nn.Dense(5, 3))
    network.set_train(True)
    export(network, tmp_path / "m.onnx", inputs=(1, 6), optimize="none")
    assert [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node] == ["Gemm", "Gemm"]
    assert network.training


def test_a_wrong_translation_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mindveil.tools.exporting.operations import TABLE

    monkeypatch.setitem(TABLE, "ReLU", lambda call: call.emit("Abs", call.tensor(0)))
    with pytest.raises(VerificationError, match=r"differs from MindSpore by .* no file was written"):
        export(LeNet5(), tmp_path / "m.onnx", inputs=SHAPE)
    assert files(tmp_path) == []


def test_an_older_file_survives_a_failed_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.onnx").write_bytes(b"older")

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        export(LeNet5(), tmp_path / "m.onnx", inputs=SHAPE, optimize="none")
    assert (tmp_path / "m.onnx").read_bytes() == b"older"
    assert files(tmp_path) == ["m.onnx"]


def test_checkpoint_is_loaded_before_export(tmp_path: Path) -> None:
    trained, fresh = sparse_lenet(1), LeNet5()
    mindspore.save_checkpoint(trained, str(tmp_path / "trained.ckpt"))
    export(fresh, tmp_path / "m.onnx", inputs=SHAPE, optimize="none", checkpoint=tmp_path / "trained.ckpt")
    weights = {item.name: onnx.numpy_helper.to_array(item) for item in onnx.load(tmp_path / "m.onnx").graph.initializer}
    np.testing.assert_array_equal(weights["fc1.weight"], trained.fc1.weight.asnumpy())


def test_checkpoint_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        export(LeNet5(), tmp_path / "m.onnx", inputs=SHAPE, checkpoint=tmp_path / "none.ckpt")
    (tmp_path / "bad.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="not a MindSpore checkpoint"):
        export(LeNet5(), tmp_path / "m.onnx", inputs=SHAPE, checkpoint=tmp_path / "bad.ckpt")
    mindspore.save_checkpoint(nn.Dense(3, 2), str(tmp_path / "other.ckpt"))
    with pytest.raises(ValueError, match=r"lacks 8 parameters of the network: conv1\.weight"):
        export(LeNet5(), tmp_path / "m.onnx", inputs=SHAPE, checkpoint=tmp_path / "other.ckpt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimize": "most"}, r"optimize is 'most', and must be one of none, size, speed, both"),
        ({"opset": 19}, r"opset is 19, and must be one of 20, 21, 22"),
        ({"inputs": ()}, r"inputs"),
        ({"inputs": (1, 0)}, r"whole numbers above 0"),
        ({"inputs": [(1, 6), (1, 6)], "samples": np.zeros((2, 6), np.float32)}, r"samples has 1 arrays for 2 inputs"),
        ({"samples": np.zeros((2, 5), np.float32)}, r"samples has an array of shape \(2, 5\)"),
        ({"keep": ("nothing",)}, r"keep names 'nothing'"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        export(nn.Dense(6, 5), tmp_path / "m.onnx", **{"inputs": (1, 6), **options})
    assert files(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"the folder of .* does not exist"):
        export(nn.Dense(6, 5), tmp_path / "no" / "m.onnx", inputs=(1, 6))
    with pytest.raises(IsADirectoryError, match="is a folder"):
        export(nn.Dense(6, 5), tmp_path, inputs=(1, 6))


def test_a_card_that_claims_more_than_the_weights_show_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"the card says sparsity 0\.9900, but the masked weights have 0\.9"):
        export(sparse_lenet(), tmp_path / "m.onnx", inputs=SHAPE, card=PrivacyCard("suppressed", sparsity=0.99))
    with pytest.raises(CardError, match=r"have 0\.0000"):
        export(LeNet5(), tmp_path / "m.onnx", inputs=SHAPE, card=PrivacyCard("suppressed", sparsity=0.5))
    assert files(tmp_path) == []


def test_whole_number_inputs_are_verified_on_samples(tmp_path: Path) -> None:
    network = nn.SequentialCell(nn.Embedding(11, 4), nn.Flatten(), nn.Dense(20, 3))
    ids = np.random.default_rng(0).integers(0, 11, (9, 5)).astype(np.int32)
    report = export(network, tmp_path / "m.onnx", inputs=(1, 5), samples=ids)
    assert set(report.differences) == {1, 7, 64}
    assert inspect(tmp_path / "m.onnx").inputs[0].dtype == "int32"


class TwoInputs(nn.Cell):
    def construct(self, left: Any, right: Any) -> Any:
        return ops.tanh(left) * right, left + 1


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    export(TwoInputs(), tmp_path / "m.onnx", inputs=[(1, 6), (1, 6)])
    found = inspect(tmp_path / "m.onnx")
    assert [value.name for value in found.inputs] == ["left", "right"]
    assert [value.name for value in found.outputs] == ["logits", "output_1"]


def test_kept_values_stay_in_the_file(tmp_path: Path) -> None:
    network = nn.SequentialCell(nn.Conv2d(1, 4, 3, pad_mode="valid"), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2, 2))
    merged = export(network, tmp_path / "m.onnx", inputs=(1, 1, 10, 10), optimize="speed")
    kept = export(network, tmp_path / "k.onnx", inputs=(1, 1, 10, 10), optimize="speed", keep=("0", "1_relu"))
    assert "0" not in merged.values
    assert {"0", "1", "1_relu"} <= set(kept.values)


def test_attacks_and_inspection_do_not_import_mindspore() -> None:
    code = "import sys, mindveil.tools, mindveil.tools.inspection; sys.exit('mindspore' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(mindveil.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0


def test_exporting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    network = sparse_lenet()
    for name in ("a.onnx", "b.onnx"):
        export(network, tmp_path / name, inputs=SHAPE, optimize="size")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
