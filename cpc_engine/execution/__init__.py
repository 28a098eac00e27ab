"""Execution of runs: training one run, background runs and evaluations, devices, and time estimates."""
