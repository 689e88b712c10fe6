"""Which rule cuts a task's texts into words: one rule for the whole task, by its languages.

*latin*: rouge-score's words of a-z and 0-9, with stems. *unicode*: runs of letters, marks and digits of any script,
scripts without spaces cut into characters, no stems. A task is cut by *unicode* where a tenth or more of its
references are mostly of other letters than Latin ones. Outputs that are declared to be English stay *latin* up to
one half: there a foreign reference is an exception, and English scores are the published protocol's to the digit.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from instruct_ablate.tasks.task import Task, WordRule

OTHER, OTHER_IN_ENGLISH = 0.1, 0.5  # shares of a task's references
ENGLISH = "english"


def word_rule(references: Collection[str], languages: Iterable[str] = ()) -> WordRule:
    """Return the rule of a task by all its references, and by its outputs' languages where they are declared."""
    declared = {language.strip().lower() for language in languages}
    limit = OTHER_IN_ENGLISH if declared == {ENGLISH} else OTHER
    other = sum(map(is_other_script, references))
    return "unicode" if other and other >= limit * len(references) else "latin"


def word_rules(
    rows: Iterable[tuple[str, Iterable[str]]], languages: Mapping[str, Iterable[str]] | None = None
) -> dict[str, WordRule]:
    """Return each task's rule by rows of it: its name and references; `languages` are those of tasks that declare."""
    references: dict[str, list[str]] = {}
    for task, right in rows:
        references.setdefault(task, []).extend(right)
    return {task: word_rule(right, (languages or {}).get(task, ())) for task, right in references.items()}


def rule_of(task: Task) -> WordRule:
    """Return a task's rule."""
    return word_rule([right for one in task.instances for right in one.references], task.languages)


@lru_cache(maxsize=2**15)
def is_other_script(text: str) -> bool:
    """Whether most of a text's letters are not Latin."""
    if text.isascii():
        return False
    letters = [letter for letter in text if letter.isalpha()]
    return 2 * sum(map(_is_other, letters)) > len(letters)


@lru_cache(maxsize=2**16)
def _is_other(letter: str) -> bool:
    # Normalised, for full-width and mathematical letters are Latin ones in another dress.
    return not unicodedata.name(unicodedata.normalize("NFKC", letter)[0], "").startswith("LATIN")
