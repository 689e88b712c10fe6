"""The tails of batches: the few rows that still write when all others have ended wait, and go on together.

Who waits for whom follows from all questions and from what the model answers, so it is the same when a cell is resumed:
then a group of batches is decoded as a whole, or not at all where all its questions are finished.
"""

from __future__ import annotations

from collections.abc import Sequence

from instruct_ablate.model.decoding.answers.references import TokenScores
from instruct_ablate.model.decoding.greedy import WHOLE, Part
from instruct_ablate.model.decoding.layers.decoder_only import PackedDecoder
from instruct_ablate.model.decoding.layers.encoder_decoder import EncoderDecoder
from instruct_ablate.model.decoding.layers.left_rows import Left, taken_out
from instruct_ablate.model.decoding.question import Question

# Chosen by counting steps for answers of real lengths (docs/benchmarks.md). Larger groups save little more, and what a
# killed cell decodes anew is a group.
GROUP = 8  # batches whose last rows go on together
FEW = 16  # rows of a batch that wait: of more a step costs more than its beginning


class Tails:
    """The waiting rows of a group of `size` batches.

    Their keys and values are those of `batch_tokens` tokens at most: a batch may use its share, and what earlier ones
    left of theirs. Filled up to the longest they stay within twice as many, as batches do.
    """

    def __init__(self, batch_tokens: int, size: int) -> None:
        self.batch_tokens, self.size = batch_tokens, size
        self.batches = 0  # that have begun
        self.tokens = self.longest = 0
        self.parts: list[Left] = []
        self.members: list[Question] = []
        self.asked: list[TokenScores | None] = []
        self.written: list[list[int]] = []

    def of(
        self,
        decoder: PackedDecoder | EncoderDecoder,
        members: Sequence[Question],
        asked: Sequence[TokenScores | None],
    ) -> Part:
        """Return the part that the next batch writes: all of it where there is nobody to go on with."""
        self.batches += 1
        if self.size == 1 or (self.batches == self.size and not self.members):
            return WHOLE
        room = self.batch_tokens * self.batches // self.size

        def take(lines: Sequence[int], rows: Sequence[int], written: Sequence[list[int]]) -> bool:
            if len(lines) > FEW:
                return False
            batch = decoder.batch
            own = [len(batch.rows[row].tokens) + len(one) for row, one in zip(rows, written, strict=True)]
            prefixes = {batch.rows[row].prefix for row in rows} - {None}
            tokens = (
                self.tokens + sum(own) + sum(len(batch.prefixes[one]) for one in prefixes if one is not None)
            )
            longest = max(self.longest, *own)
            if tokens > room or longest * (len(self.members) + len(rows)) > 2 * self.batch_tokens:
                return False
            self.tokens, self.longest = tokens, longest
            self.parts.append(taken_out(decoder, lines))
            self.members += [members[row] for row in rows]
            self.asked += [asked[row] for row in rows]
            self.written += written
            return True

        return Part(take=take)
