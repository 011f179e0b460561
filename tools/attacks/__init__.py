"""Attacks on an exported file, run under onnxruntime."""
