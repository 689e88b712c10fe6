"""Sentences from outside the tasks, for inputs out of distribution; those that are shipped are our own."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from instruct_ablate.disk.file_hash import Mark, mark
from instruct_ablate.errors import UserError
from instruct_ablate.tasks.intake.data_file import read_text

SHIPPED = Path(__file__).parent / "corpus.txt"
FEWEST = 20  # sentences; fewer would be known after a few draws


@dataclass(frozen=True)
class Corpus:
    """Different sentences, by their number of words."""

    by_length: Mapping[int, tuple[str, ...]] = field(repr=False)

    @cached_property
    def size(self) -> int:
        """The number of sentences."""
        return sum(map(len, self.by_length.values()))


@lru_cache(maxsize=4)
def _read(path: Path, seen: Mark | None) -> Corpus:
    text = read_text(path, "instruction.corpus")
    by_length: dict[int, list[str]] = {}
    for line in dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()):
        by_length.setdefault(len(line.split()), []).append(line)
    return Corpus({words: tuple(lines) for words, lines in sorted(by_length.items())})


def sentences(path: str | None) -> Corpus:
    """Read a text file, a sentence a line; null: the one that is shipped."""
    file = SHIPPED if path is None else corpus_file(path)
    found = _read(file, mark(file))
    if found.size < FEWEST:
        raise UserError(
            f"instruction.corpus={path}: it has {found.size} different lines; give at least {FEWEST} sentences."
        )
    return found


def corpus_file(path: str) -> Path:
    """Return the place of the user's own sentences; a `UserError` where there are none."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(
            f"instruction.corpus={path}: no such file; give a text file, a sentence a line, or null for those shipped."
        )
    return file


def draw(corpus: Corpus, length: int, number: int, chance: random.Random) -> tuple[str, ...]:
    """Draw different sentences of about so many words, as Min et al. (2022): by exp(-(difference squared) / 50)."""
    if number > corpus.size:
        raise UserError(
            f"instruction.corpus has {corpus.size} different lines, fewer than the {number} examples of a prompt."
        )
    left, drawn = {words: len(known) for words, known in corpus.by_length.items()}, dict[int, int]()
    for _ in range(number):
        # Taken off below: far from all lengths that there are every weight would be 0 in floating point.
        nearest = min((words - length) ** 2 for words, count in left.items() if count)
        weights = [
            count * math.exp((nearest - (words - length) ** 2) / 50) if count else 0.0
            for words, count in left.items()
        ]
        words = chance.choices(tuple(left), weights)[0]
        left[words] -= 1
        drawn[words] = drawn.get(words, 0) + 1
    found = [one for words, count in drawn.items() for one in chance.sample(corpus.by_length[words], count)]
    chance.shuffle(found)
    return tuple(found)
