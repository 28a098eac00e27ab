"""Which files of a folder belong to which class, and where its class folders are."""
