"""Room: quick answers equal the exact ones."""

from __future__ import annotations

import random

from instruct_ablate.prompt.room import Room
from tests.prompt.words import WordTokens


class PairTokens(WordTokens):
    """A tokenizer whose pieces do not add up: two letters a token, across seams."""

    def count(self, text: str) -> int:
        self.asked += 1
        return -(-len(text) // 2) + 1


def test_equal_to_counting_the_joined_text() -> None:
    chance, tokens = random.Random(0), PairTokens()
    room = Room(tokens, 400)
    for _ in range(500):
        pieces = ["x" * chance.randrange(400) for _ in range(chance.randrange(1, 5))]
        assert room.fits(pieces) == (tokens.count("".join(pieces)) <= 400)


def test_pieces_seen_before_are_not_counted_again() -> None:
    tokens = WordTokens()
    room = Room(tokens, 60)
    for number in range(50):
        assert room.fits(["the same definition, a long one", f"an input {number}" + " and" * 10])
    assert tokens.asked == 52  # and the empty text, for the special tokens


def test_short_inputs_are_not_counted_at_all() -> None:
    tokens = WordTokens()
    room = Room(tokens, 1000)
    for number in range(50):
        assert room.fits(["the same definition " * 40, f"input {number}"])
    assert tokens.asked == 2  # the definition, and the empty text


def test_no_bound_for_characters_that_normalisation_may_multiply() -> None:
    tokens = WordTokens()
    assert Room(tokens, 1000).fits(["\ufdfa"])
    assert tokens.asked == 2


def test_the_limit_itself_fits() -> None:
    room = Room(WordTokens(), 3)
    assert room.fits(["a b ", "c"])
    assert not room.fits(["a b ", "c d"])
    assert room.clip("a b c d") == "a b c"


def test_every_seam_may_change_the_count() -> None:
    assert Room(WordTokens(), 3).fits(["a"] * 40)  # one word, once they are joined
    assert not Room(WordTokens(), 3).fits(["a "] * 40)
