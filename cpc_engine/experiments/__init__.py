"""Experiments: arms that answer a question, their training and evaluation, results, and reports."""
