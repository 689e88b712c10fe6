"""Paired statistics: what a difference is worth."""
