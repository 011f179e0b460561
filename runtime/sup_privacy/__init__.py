"""Suppress privacy under the names that MindArmour's users know: a describing layer over masks in the compiled step."""

from mindveil.runtime.sup_privacy.control import SuppressCtrl
from mindveil.runtime.sup_privacy.describe import MaskLayerDes
from mindveil.runtime.sup_privacy.factory import SuppressPrivacyFactory
from mindveil.runtime.sup_privacy.masker import SuppressMasker
from mindveil.runtime.sup_privacy.model import SuppressModel

__all__ = ["MaskLayerDes", "SuppressCtrl", "SuppressMasker", "SuppressModel", "SuppressPrivacyFactory"]
