"""What a run leaves the lab as: its network for other programs, its embeddings as tables, all of it as one file."""
