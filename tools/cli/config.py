"""Everything that a run can be told, as one frozen value read from a TOML file and from options on the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mindveil.tools.cli.toml_values import ConfigError, build, read_toml

__all__ = [
    "AttackConfig",
    "ConfigError",
    "DataConfig",
    "PrivateConfig",
    "PublicConfig",
    "RunConfig",
    "SuppressedConfig",
]


@dataclass(frozen=True, slots=True)
class DataConfig:
    """``[data]``: what is trained on.

    Attributes:
        source: folder with idx files, or an ``.npz``; None for the embedded MNIST images.
        size: height and width to resize to, in pixels; None for 32 (MNIST) or as stored (``.npz``).
        seed: of the split of the embedded images.
    """

    source: Path | None = None
    size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least("data.size", self.size, 1)
        _at_least("data.seed", self.seed, 0)


@dataclass(frozen=True, slots=True)
class PublicConfig:
    """``[public]``: ordinary training, without a claim.

    Attributes:
        batch_size: images in a step.
    """

    epochs: int = 8
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9

    def __post_init__(self) -> None:
        _check_training("public", self.epochs, self.batch_size, self.learning_rate, self.momentum)


@dataclass(frozen=True, slots=True)
class SuppressedConfig:
    """``[suppressed]``: training that sets weights to zero; it makes a model sparse and claims no epsilon.

    Attributes:
        sparsity: share of the weights that are zero in the end, in [0, 1).
        start: share of the steps before the first weight is set to zero, in [0, 1).
        end: share of the steps after which ``sparsity`` is reached, in (start, 1].
        layers: names of the parameters to make sparse; empty for all weights.
    """

    epochs: int = 16
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9
    sparsity: float = 0.95
    start: float = 0.1
    end: float = 0.7
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_training("suppressed", self.epochs, self.batch_size, self.learning_rate, self.momentum)
        _within("suppressed.sparsity", self.sparsity, 0 <= self.sparsity < 1, "in [0, 1); it is the share of zeros")
        _within("suppressed.start", self.start, 0 <= self.start < 1, "in [0, 1); it is a share of the steps")
        _within("suppressed.end", self.end, self.start < self.end <= 1, f"above start, {self.start}, and at most 1")


@dataclass(frozen=True, slots=True)
class PrivateConfig:
    """``[private]``: differentially private training.

    Attributes:
        epsilon: the target, in nats; not used when ``noise_multiplier`` is given.
        delta: of the guarantee; below one divided by the number of records.
        noise_multiplier: noise over ``clip_norm``; None to take the least that keeps to ``epsilon``.
        batch_size: expected number of images in a step; divided by the number of records it is the sampling rate.
        physical_batch: rows that are computed at a time; None for a little more than ``batch_size``.
    """

    epsilon: float = 8.0
    delta: float = 1e-5
    clip_norm: float = 1.0
    noise_multiplier: float | None = None
    batch_size: int = 512
    physical_batch: int | None = None
    steps: int = 200
    learning_rate: float = 0.25
    momentum: float = 0.9

    def __post_init__(self) -> None:
        _check_training("private", self.steps, self.batch_size, self.learning_rate, self.momentum)
        _within("private.epsilon", self.epsilon, 0 < self.epsilon < math.inf, "finite and above 0")
        _within("private.delta", self.delta, 0 < self.delta < 1, "in (0, 1), and below one divided by the records")
        _within("private.clip_norm", self.clip_norm, 0 < self.clip_norm < math.inf, "finite and above 0")
        noise = self.noise_multiplier
        _within("private.noise_multiplier", noise, noise is None or 0 <= noise < math.inf, "finite and at least 0")
        _at_least("private.physical_batch", self.physical_batch, 1)


@dataclass(frozen=True, slots=True)
class AttackConfig:
    """``[attack]``: reconstruction of images from the features of an exported model.

    Attributes:
        images: how many images are attacked, half of them from the training set.
        iterations: gradient steps on each.
        layer: name of the value in the exported graph to start from; None for the default of the network.
    """

    images: int = 100
    iterations: int = 100
    layer: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least("attack.images", self.images, 1)
        _at_least("attack.iterations", self.iterations, 1)
        _at_least("attack.seed", self.seed, 0)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A run: its name and place at the top of the file, one table for each stage.

    Attributes:
        name: of the folder that the run writes.
        runs: the folder that holds the folders of all runs.
        network: ``package.module:factory``, a callable without arguments that returns a Cell; None for LeNet5.
        seed: of initial weights and of the order of public training; private noise never depends on it.
        overwrite: replace a finished run of that name.

    >>> RunConfig.read(options={"name": "trial", "private.epsilon": 3, "private.steps": None}).private.epsilon
    3.0
    """

    name: str = "demo"
    runs: Path = Path("runs")
    network: str | None = None
    seed: int = 0
    overwrite: bool = False
    data: DataConfig = field(default_factory=DataConfig)
    public: PublicConfig = field(default_factory=PublicConfig)
    suppressed: SuppressedConfig = field(default_factory=SuppressedConfig)
    private: PrivateConfig = field(default_factory=PrivateConfig)
    attack: AttackConfig = field(default_factory=AttackConfig)

    def __post_init__(self) -> None:
        _at_least("seed", self.seed, 0)
        module, colon, factory = (self.network or "a:b").partition(":")
        ok = bool(colon) and all(part.isidentifier() for part in (*module.split("."), *factory.split(".")))
        _within("network", self.network, ok, "package.module:factory, such as mindveil.runtime.networks:LeNet5")

    @classmethod
    def read(cls, file: str | Path | None = None, options: Mapping[str, Any] | None = None) -> RunConfig:
        """Reads a run from a TOML file, or from the defaults, and lets options replace single values.

        Args:
            file: path of the TOML file.
            options: values by dotted key, such as ``private.epsilon``; None as a value means not given.

        Raises:
            ConfigError: the file is missing or no TOML, a key is unknown, or a value is of the wrong type or range.
        """
        table = {} if file is None else read_toml(Path(file))
        for key, value in (options or {}).items():
            if value is not None:
                _put(table, key.split("."), value)
        return build(cls, table)

    def options(self) -> dict[str, Any]:
        """All values by dotted key, as JSON can hold them; `read` takes them back."""
        flat: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            flat |= _flat(item.name, value)
        return flat


def _flat(key: str, value: Any) -> dict[str, Any]:
    if hasattr(value, "__dataclass_fields__"):
        return {f"{key}.{item.name}": _plain(getattr(value, item.name)) for item in fields(value)}
    return {key: _plain(value)}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value


def _put(table: dict[str, Any], path: list[str], value: Any) -> None:
    *tables, key = path
    for name in tables:
        table = table.setdefault(name, {})
    table[key] = value


def _check_training(table: str, rounds: int, batch_size: int, learning_rate: float, momentum: float) -> None:
    _at_least(f"{table}.{'steps' if table == 'private' else 'epochs'}", rounds, 1)
    _at_least(f"{table}.batch_size", batch_size, 1)
    _within(f"{table}.learning_rate", learning_rate, 0 < learning_rate < math.inf, "finite and above 0")
    _within(f"{table}.momentum", momentum, 0 <= momentum < 1, "in [0, 1)")


def _at_least(key: str, value: int | None, least: int) -> None:
    _within(key, value, value is None or value >= least, f"at least {least}")


def _within(key: str, value: object, ok: bool, wanted: str) -> None:
    if not ok:
        raise ConfigError(f"{key} is {value}, and must be {wanted}")
