"""Cell records made by hand for tests of the report."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.cell.state.record import Axes, CellRecord, ScoreBlock
from instruct_ablate.metrics import Scores, TaskScore
from tests.scored import score

AXES = Axes("starter", "original", 2, 8, None, "tiny", "full", "tk_instruct", "greedy", 0)


def make_scores(exact: float, rouge: float = 40.0, form: float = 90.0) -> Scores:
    """One classification and one generation task."""
    classification = score("classification", 100, exact, exact, exact, form, 50.0)
    generation = score("generation", 100, 0.0, rouge, rouge)
    mean = score("task_mean", 200, exact / 2, (exact + rouge) / 2, (exact + rouge) / 2, form, 50.0)
    tasks = (
        TaskScore("classification", "Logic", replace(classification, name="task_c")),
        TaskScore("generation", "Rewriting", replace(generation, name="task_g")),
    )
    categories = (replace(classification, name="Logic"), replace(generation, name="Rewriting"))
    return Scores(replace(mean, name="overall"), mean, (classification, generation), categories, tasks)


def make_cell(exact: float | None, tested: str | None = None, **axes: object) -> CellRecord:
    """A done cell with this exact match; a missing one for None."""
    place = replace(AXES, **axes)  # type: ignore[arg-type]
    name = "-".join(str(value) for value in (place.model, place.instruction, place.data_budget, place.seed))
    if exact is None:
        return CellRecord(name, name, place, "missing")
    label = tested or place.instruction
    block = ScoreBlock(label, f"predictions/{label}.jsonl", make_scores(exact))
    return CellRecord(name, name, place, "done", (block,))
