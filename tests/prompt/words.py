"""A tokenizer for tests: a token is a word, lines count nothing."""

from __future__ import annotations


class WordTokens:
    """Counts words; remembers how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def count(self, text: str) -> int:
        self.asked += 1
        return len(text.split())

    def clip(self, text: str, limit: int) -> str:
        return " ".join(text.split()[:limit])

    def chat(self, text: str) -> str:
        return f"<user> {text} </user> <assistant>"
