"""The parts of ``benchmarks/private_step.py``: the same four networks in MindSpore and PyTorch, and their steps."""
