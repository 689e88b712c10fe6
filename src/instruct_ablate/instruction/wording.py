"""The wording of prompts that a collection brings itself (P3): the text that all its instances share."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import SequenceMatcher

from instruct_ablate.tasks.task import Task

COMPARED = 12  # instances that are enough to tell wording from content
SHORTEST = 2  # a single shared word inside the text may be chance


def _pieces(text: str) -> list[str]:
    return re.findall(r"\s+|\w+|[^\w\s]", text)


def shared_wording(texts: list[str]) -> tuple[str, ...]:
    """Return the stretches of text that all `texts` have in common, in order."""
    runs = [_pieces(texts[0])] if texts else []
    for text in texts[1 : COMPARED + 1]:
        runs = _common(runs, _pieces(text))
    found = ["".join(run).strip() for run in runs if sum(piece.isalnum() for piece in run) >= SHORTEST]
    return tuple(run for run in found if run)


def _common(runs: list[list[str]], other: list[str]) -> list[list[str]]:
    """Cut each run down to the blocks that `other` has too, looking only behind the previous block."""
    kept: list[list[str]] = []
    start = 0
    for run in runs:
        matcher = SequenceMatcher(None, run, other[start:], autojunk=False)
        blocks = [block for block in matcher.get_matching_blocks() if block.size]
        kept += [run[block.a : block.a + block.size] for block in blocks]
        start += blocks[-1].b + blocks[-1].size if blocks else 0
    return kept


def strip_wording(text: str, wording: tuple[str, ...]) -> str:
    """Take the shared stretches out of one text, in order, and close the gaps."""
    rest, kept = text, ""
    for stretch in wording:
        before, found, after = rest.partition(stretch)
        if found:
            kept, rest = f"{kept}{before}", after
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[ \t]+", " ", kept + rest)).strip()


def without_wording(task: Task, prefixes: dict[str, str]) -> Task:
    """Take the shared wording out of each instance's input, and put its prefix (by instance id) in front."""
    wording = (
        shared_wording([instance.input for instance in task.instances]) if len(task.instances) > 1 else ()
    )
    changed = []
    for instance in task.instances:
        bare = strip_wording(instance.input, wording)
        changed.append(
            replace(instance, input="\n".join(filter(None, (prefixes.get(instance.id, ""), bare))))
        )
    return replace(task, instances=tuple(changed))
