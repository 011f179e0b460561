"""Training-time graph passes: a typed step graph and functions from graph to graph."""
