"""Tests of mindveil.tools.gradients."""
