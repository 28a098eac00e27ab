"""Recipes that break training on purpose, what each was predicted to do, and what measured runs say of it."""
