"""Tests of mindveil.tools.attacks."""
