"""How long a run takes: estimated from earlier runs, or measured on a few steps."""
