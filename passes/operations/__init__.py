"""The one table of operations that every pass reads."""
