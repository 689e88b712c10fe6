"""Instruct-Ablate: ablation grids that show what a model really uses of its instructions."""

__version__ = "0.1.0"
