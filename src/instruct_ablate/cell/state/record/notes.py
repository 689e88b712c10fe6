"""What a reader of a cell's scores should know: of its labels and letters, and of its predictions.

The same for cells that ran here and for predictions made elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.metrics.segmentation import word_notes
from instruct_ablate.normalisation import alike, is_answerable, merged_answers, normalised
from instruct_ablate.plural import counted
from instruct_ablate.prompt.lengths import UNMARKED, ended_note
from instruct_ablate.prompt.prompt import Prompt, is_bound

# Where notes begin, as shares of predictions (or of a task's predictions).
EMPTY = 0.01
OUTSIDE = 0.1
COLLAPSED = 0.9
FEWEST = 10  # predictions of a task from which one and the same answer says something


def prompt_notes(prompts: Sequence[Prompt]) -> Iterator[str]:
    """Say what a reader of the scores should know before any prediction: of labels and of letters."""
    yield from _label_notes(prompts)
    yield from word_notes(prompts)


def _label_notes(prompts: Sequence[Prompt]) -> Iterator[str]:
    """Say where exact match takes different labels for one, and for how many rows no choice can be right."""
    spaces: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        if prompt.choices:
            spaces.setdefault(prompt.task, []).append(prompt)
    groups = {task: found for task, rows in spaces.items() if (found := _merged(rows))}
    if groups:
        task, (group, *_) = next(iter(groups.items()))
        yield (
            f"in {len(groups)} of {len(spaces)} label spaces different labels count as one: {alike(group)} in {task}, "
            "and so does the uniform guess; strict_exact_match tells them apart"
        )
    closed = [prompt for prompt in prompts if prompt.choices]
    lost = sum(not is_answerable(prompt.choices or (), prompt.references) for prompt in closed)
    if lost:
        yield f"{lost} of {len(closed)} instances have no choice that is right"


def _merged(rows: Sequence[Prompt]) -> tuple[tuple[str, ...], ...]:
    references = (reference for row in rows for reference in row.references)
    return merged_answers((row.choices or () for row in rows), references)


def prediction_notes(rows: Sequence[PredictionRow]) -> Iterator[str]:
    """Yield what a reader of the scores should know of the predictions; expected scores have none to look at."""
    said = [row for row in rows if not row.expected]
    empty = sum(not row.prediction.strip() for row in said)
    if said and empty >= EMPTY * len(said):
        yield f"{empty} of {len(said)} predictions are empty ({empty / len(said):.0%})"
    if cut := sum(row.cut for row in said):
        yield ended_note(cut, len(said))
    labelled = [row for row in said if row.choices]
    outside = sum(normalised(row.prediction) not in map(normalised, row.choices or ()) for row in labelled)
    if labelled and outside >= OUTSIDE * len(labelled):
        yield (
            f"{outside} of {len(labelled)} answers to classification tasks lie outside the label space "
            f"({outside / len(labelled):.0%})"
        )
    yield from _collapse(labelled)


def unmarked_note(taken_over: int, prompts: Sequence[Prompt], decoding: str) -> str:
    """Say of answers that a test took over from an earlier version that those cut by their length bear no mark there.

    Empty where there are none, or where all answers are chosen among labels, which are never cut.
    """
    written = any(not is_bound(prompt, decoding) for prompt in prompts)
    if not taken_over or not written:
        return ""
    return f"{taken_over} of {len(prompts)} {UNMARKED}: the number of those that were is a lower bound"


def _collapse(labelled: Sequence[PredictionRow]) -> Iterator[str]:
    """Say of how many classification tasks nearly all instances got one answer, though their references differ."""
    tasks: dict[str, list[PredictionRow]] = {}
    for row in labelled:
        if len(set(row.choices or ())) > 1:
            tasks.setdefault(row.task, []).append(row)
    large = {name: rows for name, rows in tasks.items() if len(rows) >= FEWEST}
    collapsed = {name: text for name, rows in large.items() if (text := _one_answer(rows)) is not None}
    if collapsed:
        name, text = next(iter(collapsed.items()))
        yield (
            f"{len(collapsed)} of {counted(len(large), 'classification task')} with several labels got one answer for "
            f"{COLLAPSED:.0%} of their instances or more (such as {name}: {text[:40]!r})"
        )


def _one_answer(rows: Sequence[PredictionRow]) -> str | None:
    """Return the answer that nearly all rows have and not nearly all references; None where there is none."""
    text, number = Counter(normalised(row.prediction) for row in rows).most_common(1)[0]
    right = sum(text in map(normalised, row.references) for row in rows)
    return text if number >= COLLAPSED * len(rows) > right else None
