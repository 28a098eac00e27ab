"""Widgets that several pages use; each .py beside its .js."""
