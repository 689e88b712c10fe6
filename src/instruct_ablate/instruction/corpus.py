"""Sentences from outside the tasks, for inputs out of distribution; those that are shipped are our own."""

from __future__ import annotations

import math
import random
from functools import lru_cache
from pathlib import Path

from instruct_ablate.errors import UserError
from instruct_ablate.file_hash import Mark, mark
from instruct_ablate.tasks.data_file import read_text

SHIPPED = Path(__file__).parent / "corpus.txt"
FEWEST = 20  # sentences; fewer would be known after a few draws


@lru_cache(maxsize=4)
def _read(path: Path, seen: Mark | None) -> tuple[str, ...]:
    text = read_text(path, "instruction.corpus")
    return tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def sentences(path: str | None) -> tuple[str, ...]:
    """Read a text file, a sentence a line; null: the one that is shipped."""
    file = SHIPPED if path is None else Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"instruction.corpus={path}: no such file.")
    found = _read(file, mark(file))
    if len(found) < FEWEST:
        raise UserError(
            f"instruction.corpus={path}: it has {len(found)} different lines; give at least {FEWEST} sentences."
        )
    return found


def draw(corpus: tuple[str, ...], length: int, chance: random.Random) -> str:
    """Draw a sentence of about so many words, as Min et al. (2022): by exp(-(difference squared) / 50)."""
    apart = [(len(sentence.split()) - length) ** 2 for sentence in corpus]
    nearest = min(apart)
    return chance.choices(corpus, [math.exp((nearest - one) / 50) for one in apart])[0]
