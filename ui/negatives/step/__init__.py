"""One training step of a run, slowly: a diagram of its stages with their own tensors, beside the algorithm's lines."""
