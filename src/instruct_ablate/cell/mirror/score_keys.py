"""The keys under which a record's scores are logged: one list of names for W&B and every other logger."""

from __future__ import annotations

from instruct_ablate.cell.state.record.record import GENERAL, CellRecord
from instruct_ablate.metrics import Score, Scores, find_measure, mean_scores
from instruct_ablate.metrics.measures import measure_names


def flat_scores(record: CellRecord) -> dict[str, float]:
    """Return a done record's main scores as "test instruction/kind/metric": percent.

    Of several templates these are means over them; "test instruction/template/kind/metric" is of each.
    """
    flat: dict[str, float] = {}
    for blocks in record.tests:
        flat |= _flat(blocks[0].instruction, mean_scores([block.scores for block in blocks]))
        for block in blocks if len(blocks) > 1 else ():
            flat |= _flat(f"{block.instruction}/{block.key.template}", block.scores)
    return flat


def _flat(place: str, scores: Scores) -> dict[str, float]:
    every = (scores.task_mean, *scores.kinds)
    return {f"{place}/{one.name}/{key}": value for one in every for key, value in measures(one).items()}


def block_scores(record: CellRecord) -> dict[str, float]:
    """Return every measure of every test as "eval/test instruction/measure".

    Of several templates they are means over them. General ability is under "eval/general".
    """
    means = [(blocks[0].instruction, mean_scores([one.scores for one in blocks])) for blocks in record.tests]
    if record.general is not None:  # a variant of the user's own may be called so
        own = GENERAL if "general" in dict(means) else "general"
        means.append((own, record.general.scores))
    named = ((tested, named_values(scores)) for tested, scores in means)
    return {f"eval/{tested}/{name}": value for tested, values in named for name, value in values.items()}


def main_scores(record: CellRecord) -> dict[str, float]:
    """Return what a done record scored in its first test (over templates) under names that all cells share.

    Named as in hypotheses: every measure that is defined.
    """
    return named_values(mean_scores([block.scores for block in record.tests[0]]))


def named_values(scores: Scores) -> dict[str, float]:
    """Return every measure that is defined."""
    found = ((name, find_measure(name).value(scores)) for name in measure_names())
    return {name: value for name, value in found if value is not None}


def measures(score: Score) -> dict[str, float]:
    """Return a score's values by metric."""
    return dict(score.values)
