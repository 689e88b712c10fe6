"""Kinds of content in a definition, after Yin et al. (2023): by rules, or by their annotation."""
