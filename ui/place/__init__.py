"""The Place page."""
