"""Lenient match: the answer is taken out of what a model wrote by a stated rule, then matched as exact match does.

1. What follows the last "the answer is" (or "answer:", "the label is", ...) up to the end of its line; without one, the
   first line that is not empty.
2. Quotes, brackets, emphasis and the full stop at its end do not count, nor do case, punctuation and white space.
3. If that is none of the references: the one label that it mentions, where it mentions one alone and denies nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from instruct_ablate.metrics.registry import metric
from instruct_ablate.normalisation import normalised

_NOUN = r"(?:answer|label|output|category|class|option)"
_MARK = re.compile(
    rf"\b(?:the\s+|my\s+)?(?:(?:correct|final|right|best)\s+)?{_NOUN}(?:\s+is|\s+would\s+be)?\s*:"
    rf"|\b(?:the|my)\s+(?:(?:correct|final|right|best)\s+)?{_NOUN}\s+(?:is|would\s+be)\b",
    re.IGNORECASE,
)
_DENIALS = {
    "not",
    "no",
    "never",
    "neither",
    "nor",
    "none",
    "cannot",
    "isnt",
    "arent",
    "cant",
    "doesnt",
    "dont",
    "wasnt",
}


def extracted(prediction: str) -> str:
    """Return the part of a prediction that is its answer, by rules 1 and 2, normalised."""
    marks = [mark for mark in _MARK.finditer(prediction) if _line(prediction[mark.end() :], first=True)]
    rest = prediction[marks[-1].end() :] if marks else prediction
    return normalised(_line(rest, first=bool(marks)))


def _line(text: str, first: bool) -> str:
    """Return the first line, or the first that says anything."""
    lines = text.splitlines()[: 1 if first else None]
    return next((line for line in lines if normalised(line)), "")


def mentioned(answer: str, labels: Sequence[str]) -> str | None:
    """Return the one label, normalised, that a normalised answer mentions; None for none, several or a denial."""
    words = answer.split()
    found: set[str] = set()
    for label in sorted({normalised(label) for label in labels} - {""}, key=lambda one: -len(one.split())):
        own = label.split()
        for start in range(len(words) - len(own) + 1):
            if words[start : start + len(own)] == own:
                words[start : start + len(own)] = [""] * len(own)  # "not spam" is no mention of "spam"
                found.add(label)
    return found.pop() if len(found) == 1 and not _DENIALS & set(words) else None


@metric("lenient_match", "lenient\nmatch", kinds=("classification",), reads="label_space", whole=True)
def lenient_match(prediction: str, references: Sequence[str], label_space: Sequence[str]) -> float:
    """Whether the answer taken out of a prediction equals any reference once both are normalised."""
    rights = {normalised(reference) for reference in references}
    answer = extracted(prediction)
    return float(answer in rights or mentioned(answer, label_space) in rights)
