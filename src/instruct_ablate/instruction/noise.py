"""Noisy definitions after Alajrami et al. (2025): words shuffled, deleted, replaced, inserted, misspelled."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.resources import files

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import variant
from instruct_ablate.tasks.task import Task

_FOLDER = files("instruct_ablate.instruction") / "words"
STOP_WORDS = frozenset((_FOLDER / "stop_words.txt").read_text().split())
# Common content words, to replace or insert; their order is part of the variant, so never reorder the file.
WORDS = tuple((_FOLDER / "common_words.txt").read_text().split())
QUOTES = frozenset("'\"`“”‘’")


def _words(task: Task) -> list[str]:
    return task.definition.split()


def share(words: Sequence[str], context: Context) -> int:
    """Return how many of the words the rate changes: one at least."""
    return min(len(words), max(1, round(context.rate * len(words)))) if context.rate else 0


def _noisy(task: Task, context: Context, purpose: str, change: Callable[[str, str], list[str]]) -> Task:
    """Apply `change(word, drawn word)` to the share `context.rate` of the words, at least one of them."""
    chance, words = context.random(task, purpose), _words(task)
    places = set(chance.sample(range(len(words)), share(words, context)))
    noisy: list[str] = []
    for place, word in enumerate(words):
        noisy += change(word, _other_word(chance, word)) if place in places else [word]
    return replace(task, definition=" ".join(noisy))


def _other_word(chance: random.Random, word: str) -> str:
    bare = word.strip(string.punctuation).lower()
    return chance.choice([other for other in WORDS if other != bare])


@variant("definition")
def shuffled(task: Task, context: Context) -> Task:
    """Put the words in random order; the multiset of words stays (Alajrami et al. 2025)."""
    words = _words(task)
    before = list(words)
    chance = context.random(task, "shuffled")
    while len(set(before)) > 1 and words == before:
        chance.shuffle(words)
    return replace(task, definition=" ".join(words))


@variant("definition", parameter="rate")
def deleted(task: Task, context: Context) -> Task:
    """Delete the share `rate` of the words (Alajrami et al. 2025)."""
    return _noisy(task, context, "deleted", lambda _word, _drawn: [])


@variant("definition", parameter="rate")
def replaced(task: Task, context: Context) -> Task:
    """Replace the share `rate` of the words by unrelated ones (Alajrami et al. 2025)."""
    return _noisy(task, context, "replaced", lambda _word, drawn: [drawn])


@variant("definition", parameter="rate")
def inserted(task: Task, context: Context) -> Task:
    """Insert unrelated words, as many as the share `rate` of the words (Alajrami et al. 2025)."""
    return _noisy(task, context, "inserted", lambda word, drawn: [word, drawn])


@variant("definition", parameter="rate")
def misspelled(task: Task, context: Context) -> Task:
    """Misspell the share `rate` of the words: letters swapped, left out or doubled (Alajrami et al. 2025)."""
    chance, words = context.random(task, "misspelled"), _words(task)
    places = spelled(words)
    for place in chance.sample(places, min(len(places), share(words, context))):
        words[place] = _misspelt(words[place], chance)
    return replace(task, definition=" ".join(words))


def spelled(words: Sequence[str]) -> list[int]:
    """Return the places of words with two letters side by side, which can be misspelt."""
    return [place for place, word in enumerate(words) if _neighbours(word)]


def _neighbours(word: str) -> list[int]:
    return [at for at in range(len(word) - 1) if word[at].isalpha() and word[at + 1].isalpha()]


def _misspelt(word: str, chance: random.Random) -> str:
    at = chance.choice(_neighbours(word))
    one, other = word[at], word[at + 1]
    # Two letters that are alike change nothing by changing places.
    forms = [one, one + one + other] + ([other + one] if one != other else [])
    return word[:at] + chance.choice(forms) + word[at + 2 :]


@variant("definition", version=2)  # 1 left out labels that are function words, too
def no_stop_words(task: Task, context: Context) -> Task:
    """Leave out the function words (Alajrami et al. 2025); what is quoted stays, and so do labels ("no", 'a')."""
    kept = [word for word, meant in meant_words(task) if meant or not _is_stop_word(word)]
    return replace(task, definition=" ".join(kept))


def _is_stop_word(word: str) -> bool:
    return word.strip(string.punctuation).lower() in STOP_WORDS


def meant_words(task: Task) -> Iterator[tuple[str, bool]]:
    """Yield the words of a definition, and whether each is spoken of: at an end of a quotation, or in a label.

    A label of one letter ("a") counts where punctuation shows that it is none of the text's words.
    """
    labels = set(task.label_space or ())
    longer = "|".join(r"\s+".join(map(re.escape, label.split())) for label in labels if " " in label.strip())
    spans = [m.span() for m in re.finditer(longer, task.definition, re.IGNORECASE)] if longer else []
    for found in re.finditer(r"\S+", task.definition):
        word, bare = found[0], found[0].strip(string.punctuation)
        quoted = bool(set(word[:1] + word[-1:]) & QUOTES)
        named = bare in labels and (len(bare) > 1 or word != bare)
        yield word, quoted or named or any(begin <= found.start() < end for begin, end in spans)
