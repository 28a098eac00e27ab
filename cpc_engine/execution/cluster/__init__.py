"""Runs as tasks of a Dask cluster, which queues them, gives them GPUs, and takes them up again where a worker dies."""
