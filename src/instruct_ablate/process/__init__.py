"""Processes: their signals and places, cells that take turns in one, and how far it is."""
