"""Decoding: prompts to predictions, free, constrained or ranked."""
