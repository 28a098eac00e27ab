"""Maps: projections, the maps stored with a run, snapshots over training, exploration of items."""
