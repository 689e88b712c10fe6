"""Grids: the cells of a study, read from disk, planned and run."""
