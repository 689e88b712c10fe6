"""Answers as tokens: labels that can be told apart, references, and how long they may get."""
