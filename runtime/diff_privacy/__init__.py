"""Differential privacy under the names that MindArmour's users know, both generations of them in one.

It translates into policies of the training step and hands on what the accountant says; the privacy is theirs.
"""

# ruff: noqa: I001 - the imports are in reading order.
from mindveil.runtime.diff_privacy.mechanisms import (
    GaussianRandom,
    AdaGaussianRandom,
    NoiseGaussianRandom,
    NoiseAdaGaussianRandom,
    AdaClippingWithGaussianRandom,
)
from mindveil.runtime.diff_privacy.factories import ClipMechanismsFactory, MechanismsFactory, NoiseMechanismsFactory
from mindveil.runtime.diff_privacy.optimizer import DPOptimizerClassFactory
from mindveil.runtime.diff_privacy.model import DPModel
from mindveil.runtime.diff_privacy.monitor import RDPMonitor, ZCDPMonitor
from mindveil.runtime.diff_privacy.monitors import PrivacyMonitorFactory

__all__ = [
    "AdaClippingWithGaussianRandom",
    "AdaGaussianRandom",
    "ClipMechanismsFactory",
    "DPModel",
    "DPOptimizerClassFactory",
    "GaussianRandom",
    "MechanismsFactory",
    "NoiseAdaGaussianRandom",
    "NoiseGaussianRandom",
    "NoiseMechanismsFactory",
    "PrivacyMonitorFactory",
    "RDPMonitor",
    "ZCDPMonitor",
]
