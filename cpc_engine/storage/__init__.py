"""Run folders: the files of a run, their format, and the artifacts kept with a finished run."""
