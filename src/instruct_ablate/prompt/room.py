"""The room a prompt has: a token limit, and quick yet exact answers to "does this fit?"."""

from __future__ import annotations

from collections.abc import Sequence

from instruct_ablate.prompt.prompt import Tokens

# Tokenizers split text locally: joining two pieces changes only tokens of the words at the seam. A sum of the
# pieces' counts farther than this (per piece) from the limit decides; nearer, the joined text is counted.
SEAM = 8
REMEMBERED = 4096


class Room:
    """At most `limit` source tokens, as `tokens` counts them."""

    def __init__(self, tokens: Tokens, limit: int) -> None:
        self.tokens = tokens
        self.limit = limit
        self._special = tokens.count("")
        self._counts: dict[str, int] = {}

    def fits(self, pieces: Sequence[str]) -> bool:
        """Tell whether the joined pieces have at most `limit` tokens; pieces seen are not counted again."""
        seams = SEAM * len(pieces)
        if self._special + sum(self._at_most(piece) for piece in pieces) + seams < self.limit:
            return True  # certain without tokenising what is new in this prompt
        estimate = self._special + sum(self._count(piece) for piece in pieces)
        if abs(self.limit - estimate) > seams:
            return estimate < self.limit
        return self.tokens.count("".join(pieces)) <= self.limit

    def clip(self, text: str) -> str:
        """Return the text of the first `limit` tokens."""
        return self.tokens.clip(text, self.limit)

    def _at_most(self, piece: str) -> int:
        """Return a piece's count where it is cheap to know, else a bound: no token is shorter than a character.

        That holds for plain ASCII; normalisation can make one other character many. Long texts are those that
        many prompts share: they are counted, once.
        """
        known = self._counts.get(piece)
        if known is not None:
            return known
        return len(piece) if len(piece) < self.limit // 2 and piece.isascii() else self._count(piece)

    def _count(self, piece: str) -> int:
        count = self._counts.get(piece)
        if count is None:
            if len(self._counts) >= REMEMBERED:
                self._counts.clear()
            count = self._counts[piece] = self.tokens.count(piece) - self._special
        return count
