"""The MLP-Mixer from these layers: patches, token mixing, channel mixing."""

from __future__ import annotations

from dataclasses import dataclass

from mindspore import Tensor, ops

from mindveil.runtime.lipdp.activations import DP_GroupSort
from mindveil.runtime.lipdp.balls import DP_BoundedInput, DP_ClipGradient
from mindveil.runtime.lipdp.bias import DP_AddBias
from mindveil.runtime.lipdp.centering import DP_LayerCentering
from mindveil.runtime.lipdp.dense import DP_QuickSpectralDense
from mindveil.runtime.lipdp.residual import make_residuals
from mindveil.runtime.lipdp.rules import DPLayer, Shape
from mindveil.runtime.lipdp.shaping import DP_Flatten, DP_Permute

__all__ = ["DP_Patches", "MixerConfig", "mixer_block", "mlp_mixer"]


@dataclass(frozen=True, slots=True)
class MixerConfig:
    """The original's settings of its MLP-Mixer.

    Attributes:
        patch_size: side of a patch, in pixels.
        num_mixer_layers: blocks.
        hidden_size: features of a token.
        mlp_seq_dim, mlp_channel_dim: width between the two dense layers that mix tokens, and features.
        add_biases, layer_centering, skip_connections: after each first dense layer; after each activation; around each.
        bias_norm: of each bias, where there are any.
        clip_loss_gradient: cap of the loss's cotangent, or None.
    """

    patch_size: int = 4
    num_mixer_layers: int = 1
    hidden_size: int = 64
    mlp_seq_dim: int = 64
    mlp_channel_dim: int = 64
    add_biases: bool = False
    layer_centering: bool = True
    skip_connections: bool = False
    bias_norm: float = 1.0
    clip_loss_gradient: float | None = None


class DP_Patches(DPLayer):
    """``[B, C, H, W]`` to ``[B, patches, C side side]``; each pixel goes to one patch, or is left out at the margin."""

    def __init__(self, patch_size: int, name: str | None = None) -> None:
        super().__init__()
        self.side = int(patch_size)

    def build(self, shape: Shape) -> Shape:
        """Raises: ValueError: not an image, or smaller than a patch."""
        if len(shape) != 3 or min(shape[1:]) < self.side:
            raise ValueError(f"patches of {self.side} pixels need a larger image [C, H, W] than {tuple(shape)}")
        self.rows, self.columns = shape[1] // self.side, shape[2] // self.side
        self.features = shape[0] * self.side**2
        return (self.rows * self.columns, self.features)

    def construct(self, x: Tensor) -> Tensor:
        """``[B, patches, C side side]``."""
        side = self.side
        cut = x[:, :, : self.rows * side, : self.columns * side]
        cut = ops.reshape(cut, (x.shape[0], x.shape[1], self.rows, side, self.columns, side))
        return ops.reshape(
            ops.transpose(cut, (0, 2, 4, 1, 3, 5)), (x.shape[0], self.rows * self.columns, self.features)
        )


def mixer_block(tokens: int, features: int, config: MixerConfig) -> list[DPLayer]:
    """One block over ``[B, tokens, features]``: a perceptron over tokens, then one over features."""
    token = [DP_Permute((2, 1)), *_perceptron(config.mlp_seq_dim, tokens, config), DP_Permute((2, 1))]
    channel = _perceptron(config.mlp_channel_dim, features, config)
    if config.skip_connections:
        return make_residuals("1-lip-add", token) + make_residuals("1-lip-add", channel)
    return [*token, *channel]


def mlp_mixer(
    input_shape: tuple[int, int, int], nb_classes: int, upper_bound: float, config: MixerConfig
) -> list[DPLayer]:
    """The layers of a whole MLP-Mixer for images ``[C, H, W]``, for `DP_Model` or `DP_Sequential`."""
    tokens = (input_shape[1] // config.patch_size) * (input_shape[2] // config.patch_size)
    layers: list[DPLayer] = [DP_BoundedInput(input_shape, upper_bound=upper_bound), DP_Patches(config.patch_size)]
    layers.append(DP_QuickSpectralDense(config.hidden_size, kernel_initializer="identity"))
    for _ in range(config.num_mixer_layers):
        layers += mixer_block(tokens, config.hidden_size, config)
    layers += [DP_Flatten(), DP_QuickSpectralDense(nb_classes)]
    if config.clip_loss_gradient is not None:
        layers.append(DP_ClipGradient(config.clip_loss_gradient))
    return layers


def _perceptron(width: int, units: int, config: MixerConfig) -> list[DPLayer]:
    layers: list[DPLayer] = [DP_QuickSpectralDense(width, kernel_initializer="identity")]
    layers += [DP_AddBias(config.bias_norm)] if config.add_biases else []
    layers.append(DP_GroupSort(2))
    layers += [DP_LayerCentering()] if config.layer_centering else []
    layers.append(DP_QuickSpectralDense(units, kernel_initializer="identity"))
    return layers
