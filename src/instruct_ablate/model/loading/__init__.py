"""Checkpoints: where they lie, how they are read, and what they are."""
