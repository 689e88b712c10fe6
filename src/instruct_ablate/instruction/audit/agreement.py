"""How the rules that tell kinds of content agree with an annotation: precision and recall by words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from instruct_ablate.instruction.content_kinds.annotation import Annotation
from instruct_ablate.instruction.content_kinds.content_rules import by_rules
from instruct_ablate.instruction.content_kinds.kinds import KINDS, Kind, Segment
from instruct_ablate.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one kind: words that rules and annotation give it, and that one of them gives it alone."""

    kind: Kind
    both: int
    rules_alone: int
    annotation_alone: int

    @property
    def precision(self) -> float:
        """Share, in percent, of the words that the rules give the kind that the annotation gives it too."""
        return 100 * self.both / max(1, self.both + self.rules_alone)

    @property
    def recall(self) -> float:
        """Share, in percent, of the words that the annotation gives the kind that the rules give it too."""
        return 100 * self.both / max(1, self.both + self.annotation_alone)


def agreement(tasks: Sequence[Task], annotation: Annotation) -> tuple[Agreement, ...]:
    """Compare rules and annotation, word by word, over the definitions that are annotated."""
    pairs = [
        pair
        for task in tasks
        if (marked := annotation.segments(task))
        for pair in zip(_by_word(by_rules(task)), _by_word(marked), strict=True)
    ]
    return tuple(
        Agreement(
            kind,
            sum(kind in ours and kind in theirs for ours, theirs in pairs),
            sum(kind in ours and kind not in theirs for ours, theirs in pairs),
            sum(kind not in ours and kind in theirs for ours, theirs in pairs),
        )
        for kind in KINDS
    )


def _by_word(segments: Sequence[Segment]) -> Iterator[frozenset[Kind]]:
    """Yield the kinds of each word, which has those of the segment that it begins in."""
    ends, total = [], 0
    for segment in segments:
        total += len(segment.text)
        ends.append((total, segment.kinds))
    for word in re.finditer(r"\S+", "".join(segment.text for segment in segments)):
        yield next(kinds for end, kinds in ends if word.start() < end)


def table(found: Sequence[Agreement]) -> str:
    """Write the agreement as lines for a terminal."""
    lines = [f"{'kind':<18}precision  recall  words"]
    lines += [
        f"{one.kind:<18}{one.precision:>8.0f}%{one.recall:>7.0f}%{one.both + one.annotation_alone:>7}"
        for one in found
    ]
    return "\n".join(lines)
