"""Models: checkpoints, the Lightning module, training and decoding."""
