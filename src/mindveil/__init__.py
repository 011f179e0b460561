"""mindveil hardens the privacy of neural networks, from training to deployment."""

__all__ = ["__version__"]

__version__ = "0.1.0"
