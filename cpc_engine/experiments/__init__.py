"""Whole experiments: which runs answer a question, training and evaluating them, and the report on what was found."""
