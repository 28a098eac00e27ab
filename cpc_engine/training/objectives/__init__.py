"""The terms of the loss, and where the rows of a batch come from."""
