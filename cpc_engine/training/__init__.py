"""Training of one run: plan, batches, training step, records, and state. Independent of run folders and the app."""
