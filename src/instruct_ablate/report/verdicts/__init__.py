"""Verdicts on hypotheses: which pairs they are about, what was found, what would decide them."""
