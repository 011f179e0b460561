"""Lipschitz networks trained privately without clipping, under deel-lipdp's names, with bounds that hold.

Reading order: what a layer states (`rules`); the layers; the losses; the sweep over a model (`bounds`); noise and
accounting; the model and its training step.
"""

from mindveil.runtime.lipdp.accounting import get_eps_delta, get_max_epochs, get_noise_multiplier_coefs
from mindveil.runtime.lipdp.activations import DP_GroupSort, DP_ReLU
from mindveil.runtime.lipdp.adaptive_clip import AdaptiveQuantileClipping, LaplaceAdaptiveLossGradientClipping
from mindveil.runtime.lipdp.balls import DP_BoundedInput, DP_ClipGradient
from mindveil.runtime.lipdp.bias import DP_AddBias
from mindveil.runtime.lipdp.bounds import compute_gradient_bounds
from mindveil.runtime.lipdp.callbacks import DP_Accountant
from mindveil.runtime.lipdp.centering import DP_LayerCentering
from mindveil.runtime.lipdp.convolution import DP_QuickSpectralConv2D, DP_SpectralConv2D
from mindveil.runtime.lipdp.dense import DP_QuickFrobeniusDense, DP_QuickSpectralDense, DP_SpectralDense
from mindveil.runtime.lipdp.loading import load_and_prepare_data
from mindveil.runtime.lipdp.losses import (
    DP_KCosineSimilarity,
    DP_Loss,
    DP_MeanAbsoluteError,
    DP_TauBCE,
    DP_TauCategoricalCrossentropy,
)
from mindveil.runtime.lipdp.margin_losses import DP_MulticlassHinge, DP_MulticlassHKR, DP_MulticlassKR
from mindveil.runtime.lipdp.mixer import DP_Patches, MixerConfig, mlp_mixer
from mindveil.runtime.lipdp.model import DP_Model, DP_Sequential
from mindveil.runtime.lipdp.noise import global_noisify, local_noisify
from mindveil.runtime.lipdp.parameters import DatasetMetadata, DPParameters, default_delta_value
from mindveil.runtime.lipdp.pipeline import (
    AugmultConfig,
    bound_clip_value,
    bound_normalize,
    default_augmult_config,
    get_colorspace_function,
)
from mindveil.runtime.lipdp.pooling import (
    DP_AveragePooling2D,
    DP_MaxPool2D,
    DP_ScaledAveragePooling2D,
    DP_ScaledGlobalL2NormPooling2D,
    DP_ScaledL2NormPooling1D,
    DP_ScaledL2NormPooling2D,
)
from mindveil.runtime.lipdp.residual import (
    DP_MergeResidual,
    DP_SplitResidual,
    DP_WrappedResidual,
    make_residuals,
)
from mindveil.runtime.lipdp.rules import DPLayer
from mindveil.runtime.lipdp.shaping import DP_Flatten, DP_InputLayer, DP_Lambda, DP_Permute, DP_Reshape

__all__ = [
    "AdaptiveQuantileClipping",
    "AugmultConfig",
    "DPLayer",
    "DPParameters",
    "DP_Accountant",
    "DP_AddBias",
    "DP_AveragePooling2D",
    "DP_BoundedInput",
    "DP_ClipGradient",
    "DP_Flatten",
    "DP_GroupSort",
    "DP_InputLayer",
    "DP_KCosineSimilarity",
    "DP_Lambda",
    "DP_LayerCentering",
    "DP_Loss",
    "DP_MaxPool2D",
    "DP_MeanAbsoluteError",
    "DP_MergeResidual",
    "DP_Model",
    "DP_MulticlassHKR",
    "DP_MulticlassHinge",
    "DP_MulticlassKR",
    "DP_Patches",
    "DP_Permute",
    "DP_QuickFrobeniusDense",
    "DP_QuickSpectralConv2D",
    "DP_QuickSpectralDense",
    "DP_ReLU",
    "DP_Reshape",
    "DP_ScaledAveragePooling2D",
    "DP_ScaledGlobalL2NormPooling2D",
    "DP_ScaledL2NormPooling1D",
    "DP_ScaledL2NormPooling2D",
    "DP_Sequential",
    "DP_SpectralConv2D",
    "DP_SpectralDense",
    "DP_SplitResidual",
    "DP_TauBCE",
    "DP_TauCategoricalCrossentropy",
    "DP_WrappedResidual",
    "DatasetMetadata",
    "LaplaceAdaptiveLossGradientClipping",
    "MixerConfig",
    "bound_clip_value",
    "bound_normalize",
    "compute_gradient_bounds",
    "default_augmult_config",
    "default_delta_value",
    "get_colorspace_function",
    "get_eps_delta",
    "get_max_epochs",
    "get_noise_multiplier_coefs",
    "global_noisify",
    "load_and_prepare_data",
    "local_noisify",
    "make_residuals",
    "mlp_mixer",
]
