"""One run on several devices: rank 0 leads it and alone touches its folder, the others take part in its steps."""
