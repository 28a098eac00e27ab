"""Evaluation of a network: features, geometry metrics, probes, baselines, out-of-distribution scores, alarms."""
