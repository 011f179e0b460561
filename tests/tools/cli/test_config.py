"""Reading a run's configuration: defaults, a TOML file, options, and every way in which one can be wrong."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from mindveil.tools.cli.config import ConfigError, RunConfig

TEXT = """
name = "trial"
runs = "elsewhere"
network = "my.models:make"

[data]
source = "photos"
size = 28

[private]
epsilon = 3
noise_multiplier = 1.5

[suppressed]
layers = ["conv1.weight", "fc1.weight"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(TEXT)
    return path


def test_without_a_file_every_value_is_the_default() -> None:
    assert RunConfig.read() == RunConfig()
    assert (RunConfig().private.epsilon, RunConfig().private.delta) == (8.0, 1e-5)


def test_a_file_replaces_what_it_names_and_nothing_else(file: Path) -> None:
    config = RunConfig.read(file)
    assert (config.name, config.runs, config.network) == ("trial", Path("elsewhere"), "my.models:make")
    assert (config.data.source, config.data.size) == (Path("photos"), 28)
    assert (config.private.epsilon, config.private.noise_multiplier) == (3.0, 1.5)
    assert isinstance(config.private.epsilon, float)
    assert config.suppressed.layers == ("conv1.weight", "fc1.weight")
    assert config.private.delta == RunConfig().private.delta
    assert config.public == RunConfig().public


def test_an_option_wins_over_the_file_and_none_means_not_given(file: Path) -> None:
    config = RunConfig.read(file, {"name": "other", "private.epsilon": 2.0, "data.size": None, "public.epochs": 1})
    assert (config.name, config.private.epsilon, config.data.size, config.public.epochs) == ("other", 2.0, 28, 1)


def test_options_hold_everything_and_can_be_read_back(file: Path) -> None:
    config = RunConfig.read(file)
    assert RunConfig.read(options=json.loads(json.dumps(config.options()))) == config


def test_a_configuration_cannot_be_changed() -> None:
    private: Any = RunConfig().private
    with pytest.raises(FrozenInstanceError):
        private.epsilon = 100.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"nmae": "x"},
            r"nmae is unknown \(did you mean name\?\); valid in the top of the configuration: name, runs, n",
        ),
        (
            {"private.epsilom": 1},
            r"private.epsilom is unknown \(did you mean epsilon\?\); valid in \[private\]: epsilon, d",
        ),
        ({"zzz": 1}, r"zzz is unknown; valid in"),
        ({"name": 3}, r"name is 3, and must be a text"),
        ({"private.steps": 2.5}, r"private.steps is 2.5, and must be a whole number"),
        ({"private.steps": True}, r"private.steps is True, and must be a whole number"),
        ({"private.epsilon": "3"}, r"private.epsilon is '3', and must be a number"),
        ({"overwrite": 1}, r"overwrite is 1, and must be true or false"),
        ({"data.source": 3}, r"data.source is 3, and must be a path"),
        ({"data": 3}, r"data is 3, and must be a table: \[data\]"),
        ({"suppressed.layers": "conv1"}, r"suppressed.layers is 'conv1', and must be a list of texts"),
        ({"suppressed.layers": [1]}, r"suppressed.layers is \[1\], and must be a list of texts"),
        ({"private.epsilon": 0}, r"private.epsilon is 0.0, and must be finite and above 0"),
        ({"private.epsilon": float("inf")}, r"private.epsilon is inf"),
        ({"private.epsilon": float("nan")}, r"private.epsilon is nan"),
        ({"private.delta": 1}, r"private.delta is 1.0, and must be in \(0, 1\)"),
        ({"private.clip_norm": -1}, r"private.clip_norm is -1.0"),
        ({"private.noise_multiplier": -0.1}, r"private.noise_multiplier is -0.1, and must be finite and at least 0"),
        ({"private.physical_batch": 0}, r"private.physical_batch is 0, and must be at least 1"),
        ({"private.steps": 0}, r"private.steps is 0, and must be at least 1"),
        ({"public.epochs": 0}, r"public.epochs is 0, and must be at least 1"),
        ({"public.momentum": 1}, r"public.momentum is 1.0, and must be in \[0, 1\)"),
        ({"public.learning_rate": 0}, r"public.learning_rate is 0.0"),
        ({"suppressed.sparsity": 1}, r"suppressed.sparsity is 1.0, and must be in \[0, 1\); it is the share of zeros"),
        ({"suppressed.start": 0.8}, r"suppressed.end is 0.7, and must be above start, 0.8, and at most 1"),
        ({"attack.images": 0}, r"attack.images is 0, and must be at least 1"),
        ({"seed": -1}, r"seed is -1, and must be at least 0"),
        ({"network": "mymodel"}, r"network is mymodel, and must be package.module:factory"),
        ({"network": "a..b:c"}, r"network is a..b:c, and must be"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RunConfig.read(options=options)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone.toml cannot be read: No such file or directory"):
        RunConfig.read(tmp_path / "gone.toml")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad.toml is not a TOML file: "):
        RunConfig.read(path)
