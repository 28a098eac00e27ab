"""The terms of the loss beside the prediction of later positions, and where the rows of a batch come from."""
