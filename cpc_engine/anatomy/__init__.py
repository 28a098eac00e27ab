"""The anatomy of one anchor: a run's batch rebuilt and held still, its candidates one by one, and other settings on it."""
