"""The Negatives page."""
