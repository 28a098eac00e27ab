"""Figures of what the negatives of a run did, for its own page and for comparisons."""
