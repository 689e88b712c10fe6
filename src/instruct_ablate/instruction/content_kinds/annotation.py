"""A published annotation of definitions (Yin et al. 2023), laid over the definitions as a collection has them.

The file is a JSON object: a definition → its segments, each with its kinds ("Segment,Input content,..."), and at the
end the task's name. Its segments are tokenised (spaces before punctuation), so they are found again by their letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path

from instruct_ablate.disk.file_hash import Mark, mark
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.content_kinds.kinds import Kind, Segment
from instruct_ablate.tasks.intake.data_file import read_json
from instruct_ablate.tasks.intake.pinned_file import PinnedFile, pinned_file
from instruct_ablate.tasks.task import Task

# How the annotation writes the kinds that are told apart here; its other marks ("Input mention") name no content.
WRITTEN: Mapping[str, Kind] = {
    "Input content": "input",
    "Action content": "action",
    "Output content": "output",
    "Label list": "label_list",
    "Label description": "label_definition",
    "Additional input details": "details",
    "Additional output details": "details",
}
# What the key names beside a file: the annotation as it is published, downloaded once.
PUBLISHED = {
    "yin_2023": PinnedFile(
        "yin-2023-content-type-annotation.json",
        "the annotation of Yin et al. (2023)",
        "https://raw.githubusercontent.com/fanyin3639/Rethinking-instruction-effectiveness/"
        "5888bb03b9b818c2162387609f73fb429b96ca25/analysis_util/content_type_annotation.json",
        "eea18c924c6cee3d4daac10482b87a81e45a8547fe46b65a93ddff66b63dbc7d",
        "instruction.annotation",
    )
}
ALIKE = 0.8  # share of letters that a definition and its annotation have in common; 34 of 862 are not quite the same
Marked = tuple[tuple[str, frozenset[Kind]], ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """The annotated segments of definitions, by task name."""

    tasks: Mapping[str, Marked] = field(repr=False)

    def segments(self, task: Task) -> tuple[Segment, ...] | None:
        """Cut a task's definition as annotated; None where the annotation has none, or another, of this task."""
        marked = self.tasks.get(task.name)
        return None if marked is None else _laid(task.definition, marked)


@lru_cache(maxsize=8)
def _read(path: Path, seen: Mark | None) -> Annotation:
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise _other(path, "no JSON object of definitions")
    return Annotation(dict(_entry(path, value) for value in raw.values()))


def annotation_of(path: str, cache: str) -> Annotation:
    """Read the user's file, or the published one by its name; one that has not changed is read once."""
    file = pinned_file(PUBLISHED[path], Path(cache)) if path in PUBLISHED else annotation_file(path)
    return _read(file, mark(file))


def annotation_file(path: str) -> Path:
    """Return the place of the user's own annotation; a `UserError` where there is none."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(
            f"instruction.annotation={path}: no such file; {', '.join(PUBLISHED)} names the published one, which is "
            "downloaded."
        )
    return file


def _entry(path: Path, value: object) -> tuple[str, Marked]:
    if not (isinstance(value, list) and len(value) > 1 and isinstance(value[-1], str)):
        raise _other(path, "an entry is no list of segments with the task's name at its end")
    pairs = [pair for pair in value[:-1] if isinstance(pair, list) and len(pair) == 2]
    if len(pairs) < len(value) - 1 or not all(isinstance(part, str) for pair in pairs for part in pair):
        raise _other(path, f"{value[-1]}: a segment is no pair of a text and its kinds")
    return value[-1], tuple((text, _kinds(written)) for text, written in pairs)


def _other(path: Path, why: str) -> UserError:
    return UserError(
        f"instruction.annotation={path}: {why}. It is read as Yin et al. (2023) publish theirs: "
        '{"DEFINITION": [["SEGMENT", "Segment,Input content"], ..., "TASK"]}.'
    )


def _kinds(written: str) -> frozenset[Kind]:
    return frozenset(WRITTEN[name.strip()] for name in written.split(",") if name.strip() in WRITTEN)


def _laid(definition: str, marked: Marked) -> tuple[Segment, ...] | None:
    """Find the segments' ends in the definition by its letters; what stands between two goes to the first."""
    places = [at for at, letter in enumerate(definition) if not letter.isspace()]
    ours, theirs = "".join(definition[at] for at in places), [re.sub(r"\s", "", text) for text, _ in marked]
    ends = _ends(ours, theirs)
    if ends is None:
        return None
    cuts = [0, *(places[end] if end < len(places) else len(definition) for end in ends[:-1]), len(definition)]
    pairs = zip(cuts, cuts[1:], marked, strict=False)
    return tuple(Segment(definition[a:b], kinds) for a, b, (_, kinds) in pairs if definition[a:b].strip())


def _ends(ours: str, theirs: Sequence[str]) -> list[int] | None:
    ends = list(_running(theirs))
    whole = "".join(theirs)
    if ours == whole:
        return ends
    # autojunk would pass over frequent letters in definitions of 200 and more.
    matcher = SequenceMatcher(None, whole, ours, autojunk=False)
    blocks = matcher.get_matching_blocks()
    if 2 * sum(block.size for block in blocks) < ALIKE * (len(whole) + len(ours)):
        return None
    return [next((b.b + max(end - b.a, 0) for b in blocks if end < b.a + b.size), len(ours)) for end in ends]


def _running(texts: Sequence[str]) -> Iterator[int]:
    total = 0
    for text in texts:
        total += len(text)
        yield total
