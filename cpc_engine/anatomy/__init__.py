"""The anatomy of an anchor: a batch rebuilt and held still, its candidates one by one, other settings on it."""
