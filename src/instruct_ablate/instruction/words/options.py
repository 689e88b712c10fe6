"""The options that a multiple-choice example brings in its own input: "(A) a boat (B) a car", "a ) 12 , b ) 24"."""

from __future__ import annotations

import re

from instruct_ablate.normalisation import label_form
from instruct_ablate.tasks.task import Example

_MARK = re.compile(
    r"(?:(?<=^)|(?<=[\s,;]))(?:option\s*)?[(\[]?([A-Ja-j]|[1-9])\s?[)\].:](?=\s|\w)", re.IGNORECASE
)


def own_options(example: Example, space: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return an example's options as its output names them, by letter or in full; none where it has none.

    Where one is no label of the task's `space` they are none: "Sentence 1: ... Sentence 2: ..." of an output 0 or 1.
    """
    found = _listed(example)
    labels = None if space is None else set(map(label_form, space))
    return found if labels is None or labels.issuperset(map(label_form, found)) else ()


def _listed(example: Example) -> tuple[str, ...]:
    """Return what is listed as options, and holds the output."""
    marks = _row(list(_MARK.finditer(example.input)))
    if len(marks) < 2:
        return ()
    ends = [*(mark.start() for mark in marks[1:]), len(example.input)]
    texts = [example.input[mark.end() : end].strip(" \t\n,;") for mark, end in zip(marks, ends, strict=True)]
    texts[-1] = texts[-1].split("\n")[0].strip()
    answer = label_form(example.output)
    letters = [mark[1] for mark in marks]
    if answer in map(str.lower, letters):
        return tuple(
            re.sub(r"\w", letter.upper() if example.output.isupper() else letter, example.output, count=1)
            for letter in letters
        )
    return tuple(texts) if answer in map(label_form, texts) and all(texts) else ()


def _row(marks: list[re.Match[str]]) -> list[re.Match[str]]:
    """Return the last marks that count on from the first letter or number."""
    rows: list[list[re.Match[str]]] = []
    for mark in marks:
        place = _place(mark[1])
        if place == 0:
            rows.append([mark])
        elif rows and place == len(rows[-1]) and mark[1].isalpha() == rows[-1][0][1].isalpha():
            rows[-1].append(mark)
    return max(rows, key=len, default=[])


def _place(sign: str) -> int:
    return int(sign) - 1 if sign.isdecimal() else ord(sign.lower()) - ord("a")
