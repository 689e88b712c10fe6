"""Tokens before a sweep: counted by the model's own tokenizer where its file is at hand, else taken from characters."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from instruct_ablate.prompt.prompt import Tokens
from instruct_ablate.schema import Config


class TokenCounts(Tokens, Protocol):
    """`Tokens` that know a target's length too."""

    def count_target(self, text: str) -> int:
        """Return the number of tokens of a target, with the one that ends it."""


class Characters:
    """`TokenCounts` where no tokenizer is at hand: about four characters of English a token."""

    def count(self, text: str) -> int:
        """Return about how many tokens a text has."""
        return -(-len(text) // 4)

    def count_target(self, text: str) -> int:
        """Return about how many tokens a target has."""
        return self.count(text) + 1

    def clip(self, text: str, limit: int) -> str:
        """Cut a text."""
        return text[: 4 * limit]

    def chat(self, text: str) -> str:
        """Return the text as it is."""
        return text


def counted_by(config: Config) -> Path | None:
    """Return the tokenizer's file that a cell's tokens are counted by; None: they are taken from characters."""
    from instruct_ablate.model.loading.tokenizer_file import tokenizer_file

    return tokenizer_file(config.model, Path(config.cache))


def token_counts(config: Config) -> tuple[TokenCounts, bool]:
    """Return what counts a cell's tokens, and whether that is the model's own tokenizer."""
    from instruct_ablate.model.loading.tokenizer_file import tokens_of_file

    path = counted_by(config)
    own = None if path is None else tokens_of_file(path, config.prompt.ends_source)
    return (Characters(), False) if own is None else (own, True)
