"""Definitions without one kind of content, after Yin et al. (2023)."""

from __future__ import annotations
