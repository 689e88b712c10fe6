"""Tokenised batches: prompts as memory-mapped token arrays, and batches by token count."""
