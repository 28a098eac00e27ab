"""Runs at a URL, such as s3://bucket/runs: a mirror on this machine, a lease for each run, and what passes between."""
