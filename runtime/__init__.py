"""Training with MindSpore: policies, the compiled step, the model, batches, checkpoints."""
