"""One run's learning: a step, its record, its state. Knows nothing of files, threads or pages."""
