"""Comparison of runs: differing settings, metrics with intervals, verdicts, and HTML reports."""
