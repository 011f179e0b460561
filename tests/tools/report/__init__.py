"""Tests of mindveil.tools.report."""
