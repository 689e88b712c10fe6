"""The two rules by which answers and labels are compared; everything that compares them calls these.

*normalised* is Tk-Instruct's exact match: case, ASCII punctuation and white space do not count. Labels that are
nothing but punctuation ("+", "-", "") are all equal under it, and so are -1 and 1, or 1.0 and 10: where it merges
labels of one space that is announced. *strict* is Kung & Peng's format: letter for letter, white space at the ends
aside.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from functools import lru_cache

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@lru_cache(maxsize=2**16)
def normalised(text: str) -> str:
    """Lower-case, strip ASCII punctuation and extra white space (SQuAD's rule, articles kept)."""
    return " ".join(text.lower().translate(_PUNCTUATION).split())


def label_form(label: str) -> str:
    """Return a label as *normalised* has it; one that is nothing but punctuation stays as it is, to be told apart."""
    return normalised(label) or strict(label)


def strict(text: str) -> str:
    """Return the text as it is, without white space at its ends."""
    return text.strip()


def classes(labels: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Group labels that exact match cannot tell apart, each once under the strict rule, in their order."""
    groups: dict[str, dict[str, None]] = {}
    for label in labels:
        groups.setdefault(normalised(label), {})[strict(label)] = None
    return tuple(tuple(group) for group in groups.values())


def merged(labels: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of different labels that exact match takes for one; empty where it merges none."""
    return tuple(group for group in classes(labels) if len(group) > 1)


def merged_answers(lists: Iterable[Sequence[str]], references: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of different answers of one task that exact match takes for one.

    `lists` are what its rows choose from. Where all choose from one, references count too: a derived label space
    has but the first of -1 and 1. A reference that differs in case or a full stop alone is a spelling, no answer.
    """
    distinct = tuple(dict.fromkeys(map(tuple, lists)))
    found = dict.fromkeys(group for labels in distinct for group in merged(labels))
    if len(distinct) == 1:
        labels = set(map(strict, distinct[0]))
        for group in merged((*distinct[0], *references)):
            if len(labels & set(group)) > 1 or len({_spelling(answer) for answer in group}) > 1:
                found[group] = None
    # A group that references have made longer takes the place of the shorter one.
    return tuple(g for g in found if not any(set(g) < set(other) for other in found))


def _spelling(answer: str) -> str:
    return answer.lower().rstrip(".") or answer


def alike(group: Sequence[str]) -> str:
    """Name answers that are taken for one."""
    return f"exact match takes {' and '.join(map(repr, group))} for one"


def is_answerable(choices: Sequence[str], references: Sequence[str]) -> bool:
    """Whether any of the choices is right under exact match."""
    right = {normalised(reference) for reference in references}
    return any(normalised(choice) in right for choice in choices)
