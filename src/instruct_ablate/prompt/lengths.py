"""What the limits on lengths took from prompts, examples, answers and targets: a sentence each in a record's notes.

Whoever notes it takes the sentence from here, and whoever gathers it for a caption reads it by the same file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from instruct_ablate.prompt.prompt import Prompt

# What was met, by what a caption calls it, in percent; None: nobody noted whether it was.
Shares = tuple[tuple[str, float | None], ...]
_ENDED = "answers ended at their greatest length"
_SAID = {
    "prompts cut at prompt.max_source_length": r"(?P<every>\d{1,12}) prompts: (?P<some>\d{1,12}) cut at ",
    "prompts with fewer examples for want of room": (
        r"(?P<every>\d{1,12}) prompts: \d{1,12} cut at prompt\.max_source_length, (?P<some>\d{1,12}) with fewer "
    ),
    _ENDED: (r"(?P<some>\d{1,12}) of (?P<every>\d{1,12}) answers were ended at their greatest length"),
    "instances whose references are all longer than an answer may be": (
        r"the references of (?P<some>\d{1,12}) of (?P<every>\d{1,12}) instances .* are longer than "
    ),
    "targets cut at prompt.max_target_length": (
        r"(?P<some>\d{1,12}) of (?P<every>\d{1,12}) targets are longer than prompt\.max_target_length="
    ),
}
_KINDS = {name: re.compile(pattern) for name, pattern in _SAID.items()}
_ALWAYS = 2  # so many of these, the first ones, were noted from the first record on
# Of such answers only the later ones bear the mark that the note on ended ones counts.
UNMARKED = (
    "answers were taken over from an earlier version, which marked none as ended at its greatest length"
)


def truncation_note(prompts: Sequence[Prompt]) -> str | None:
    """Say how many prompts were cut or lost examples for want of room; None where all fitted."""
    cut = sum(prompt.truncated for prompt in prompts)
    fewer = sum(prompt.dropped_examples > 0 for prompt in prompts)
    if not cut and not fewer:
        return None
    return (
        f"{len(prompts)} prompts: {cut} cut at prompt.max_source_length, {fewer} with fewer examples than "
        "configured, because they would not fit (as in Tk-Instruct)."
    )


def ended_note(ended: int, answers: int) -> str:
    """Say how many answers were ended by their length, not by the model."""
    return f"{ended} of {answers} answers were ended at their greatest length ({ended / answers:.0%})"


def long_references_note(long: int, instances: int, limit: int) -> str:
    """Say for how many instances every reference is longer than an answer may be, in tokens."""
    return (
        f"the references of {long} of {instances} instances ({long / instances:.1%}) are longer than "
        f"prompt.max_target_length={limit} tokens, where answers end: none can match them whole"
    )


def cut_targets_note(cut: int, targets: int, limit: int) -> str:
    """Say how many targets are trained on without their end; `limit` in tokens."""
    return f"{cut} of {targets} targets are longer than prompt.max_target_length={limit} tokens and were cut to it"


def told_lengths(notes: Iterable[str], where: str, early: bool = False) -> Shares:
    """Pick what limits took out of a record's notes under `where` ("training", "test, original"); else nothing.

    `early`: the record is from before all of it was noted, so that a missing note says nothing.
    """
    own = [note.removeprefix(f"{where}: ") for note in notes if note.startswith(f"{where}: ")]
    unknown = kinds()[_ALWAYS:] if early else (_ENDED,) if any(UNMARKED in note for note in own) else ()
    found: dict[str, float | None] = dict.fromkeys(unknown)
    for name, pattern in _KINDS.items():
        for note in own:
            if (said := pattern.match(note)) and int(said["every"]):
                found[name] = 100 * int(said["some"]) / int(said["every"])
    return tuple(found.items())


def kinds() -> tuple[str, ...]:
    """Name what `told_lengths` may find, in the order in which a caption says it."""
    return tuple(_KINDS)
