"""One slider through the steps that a run keeps: the loss, a map and the anchor's negatives at that step."""
