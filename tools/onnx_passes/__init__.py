"""Rewrites of ONNX graphs, each exact unless it says otherwise."""
