"""Cell records made by hand for tests of the report."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.cell.state.record.record import CellRecord, ScoreBlock
from instruct_ablate.cell.state.setting.keys import of_untuned
from instruct_ablate.cell.state.setting.setting import Setting, Value, make_setting
from instruct_ablate.cell.state.setting.trained_on import answers_by_itself
from instruct_ablate.metrics import Scores, TaskScore
from instruct_ablate.schema import TrainerConfig
from instruct_ablate.scores import Score
from tests.scored import score

DEFAULTS: dict[str, Value] = {
    "tasks": "starter",
    "model": "tiny",
    "instruction": "original",
    "instruction.num_positive": 2,
    "data_budget": 8,
    "data_budget.tasks": None,
    "method": "full",
    "prompt": "tk_instruct",
    "evaluation.decoding": "greedy",
    "trainer.learning_rate": TrainerConfig().learning_rate,
}
SHORT = {
    "num_positive": "instruction.num_positive",
    "decoding": "evaluation.decoding",
    "lr": "trainer.learning_rate",
}


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


def place(tested: str | None = None, revisions: dict[str, str] | None = None, **changes: Value) -> Setting:
    """A setting; of an untuned model, a baseline or an import it has what such a one reads."""
    values = {**DEFAULTS, **{SHORT.get(key, key): value for key, value in changes.items()}}
    values["evaluation.instructions"] = (str(tested or values["instruction"]),)
    setting = make_setting(values, revisions or {})
    if setting.untuned:
        values = {key: value for key, value in values.items() if of_untuned(key) and key != "instruction"}
        if setting.imported:
            values["method"] = "imported"
        if answers_by_itself(setting):
            values = {
                key: value for key, value in values.items() if key not in ("prompt", "evaluation.decoding")
            }
    return make_setting(values, revisions or {})


def make_cell(
    exact: float | None,
    tested: str | None = None,
    seed: int = 0,
    revisions: dict[str, str] | None = None,
    **changes: Value,
) -> CellRecord:
    """A done cell with this exact match; a missing one for None."""
    setting = place(tested, revisions, **changes)
    label = tested or str(changes.get("instruction", "original"))
    further = [
        str(value) for key, value in changes.items() if key not in ("model", "instruction", "data_budget")
    ]
    name = "-".join(
        (setting.model, label if tested is None else setting.instruction, str(setting.budget), str(seed))
    )
    name = "-".join((name, *further))
    if exact is None:
        return CellRecord(name, name, setting, seed, "missing")
    block = ScoreBlock(label, f"predictions/{label}.jsonl", make_scores(exact))
    return CellRecord(name, name, setting, seed, "done", (block,))


LIKELIHOODS = ("reference_log_likelihood", "reference_log_likelihood_per_byte")


def with_likelihoods(cell: CellRecord, value: float) -> CellRecord:
    """The cell with what its model held of the references: so many nats a token, a quarter of that a byte."""
    further = tuple(zip(LIKELIHOODS, (value, value / 4), strict=True))

    def add(one: Score) -> Score:
        return replace(one, values=(*one.values, *further))

    def scored(scores: Scores) -> Scores:
        return Scores(
            add(scores.overall),
            add(scores.task_mean),
            tuple(map(add, scores.kinds)),
            tuple(map(add, scores.categories)),
            tuple(replace(task, score=add(task.score)) for task in scores.tasks),
        )

    return replace(cell, blocks=tuple(replace(block, scores=scored(block.scores)) for block in cell.blocks))
