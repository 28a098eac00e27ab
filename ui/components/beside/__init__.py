"""Runs beside each other: arms as dots with intervals, and two runs with live curves and maps."""
