"""Layers in training: packed sequences, gradients that need little memory, and what frozen layers give, kept."""
