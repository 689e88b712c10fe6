"""The wording of prompts that a collection brings itself (P3): the text that all its instances share."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from instruct_ablate.tasks.task import Task

COMPARED = 12  # instances whose middle is compared; beginning and end are compared in all
SHORTEST = 3  # words of a stretch inside the text; fewer may be chance


@dataclass(frozen=True, slots=True)
class Wording:
    """What all prompts begin with, the stretches they share in between, in order, and what they end with."""

    head: str = ""
    middle: tuple[str, ...] = ()
    tail: str = ""


def _pieces(text: str) -> list[str]:
    return re.findall(r"\s+|\w+|[^\w\s]", text)


def _words(run: list[str]) -> int:
    return sum(piece.isalnum() for piece in run)


def _beginning(texts: list[list[str]]) -> list[str]:
    """Return the pieces that all texts begin with; none where there is no word among them."""
    common: list[str] = []
    for column in zip(*texts, strict=False):
        if len(set(column)) > 1:
            break
        common.append(column[0])
    return common if _words(common) else []


def shared_wording(texts: list[str]) -> Wording:
    """Return the wording that all `texts` have in common; none where there is only one."""
    split = [_pieces(text.strip()) for text in texts]
    if len(set(texts)) < 2:
        return Wording()
    head = _beginning(split)
    rest = [pieces[len(head) :][::-1] for pieces in split]
    tail = _beginning(rest)[::-1]
    runs = [pieces[len(tail) :][::-1] for pieces in rest[: COMPARED + 1]]
    middle = _middle(runs[0], runs[1:])
    return Wording("".join(head), tuple("".join(run).strip() for run in middle), "".join(tail))


def _middle(first: list[str], others: list[list[str]]) -> list[list[str]]:
    """Cut the first text down to the runs that all others have too, in the same order."""
    runs = [first]
    for other in others:
        kept: list[list[str]] = []
        start = 0
        for run in runs:
            # autojunk would pass over frequent words in prompts of 200 pieces and more; a wording has them, too.
            matcher = SequenceMatcher(None, run, other[start:], autojunk=False)
            blocks = [b for b in matcher.get_matching_blocks() if _words(run[b.a : b.a + b.size]) >= SHORTEST]
            kept += [run[block.a : block.a + block.size] for block in blocks]
            start += blocks[-1].b + blocks[-1].size if blocks else 0
        runs = kept
    return runs


def strip_wording(text: str, wording: Wording) -> str:
    """Take the shared wording out of one text and close the gaps."""
    rest, kept = text.strip().removeprefix(wording.head).removesuffix(wording.tail), ""
    for stretch in wording.middle:
        before, found, after = rest.partition(stretch)
        if found:
            kept, rest = f"{kept}{before}\n", after
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[ \t]+", " ", kept + rest)).strip()


def without_wording(task: Task, whole: Task, prefixes: dict[str, str]) -> Task:
    """Take the wording that the whole task shares out of each input; put its prefix (by id) in front."""
    wording = shared_wording([instance.input for instance in whole.instances])
    changed = []
    for instance in task.instances:
        bare = strip_wording(instance.input, wording)
        changed.append(
            replace(instance, input="\n".join(filter(None, (prefixes.get(instance.id, ""), bare))))
        )
    return replace(task, instances=tuple(changed))
