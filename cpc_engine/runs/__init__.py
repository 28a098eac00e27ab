"""Runs on disk, runs in the background, and strangers' items placed on them."""
