"""Differential privacy under the names that MindArmour's users know."""
