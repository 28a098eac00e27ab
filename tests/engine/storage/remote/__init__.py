"""Runs at a URL."""
