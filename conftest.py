"""Prepares the process before any test module imports MindSpore."""

from mindveil.runtime.environment import prepare

prepare()
