"""What fixed features are worth: linear probes, nearest neighbors, and a report of both beside their baselines."""
