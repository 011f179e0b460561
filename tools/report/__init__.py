"""The evaluation report: pictures, curves, tables, one self-contained page."""
