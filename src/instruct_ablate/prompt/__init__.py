"""Prompts: instruction and instance as plain text, before any tokenizer."""
