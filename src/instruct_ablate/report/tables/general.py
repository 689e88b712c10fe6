"""General ability before and after training (`evaluation.general`): what a trained model has forgotten.

Forgetting is the untuned model's score less the trained one's, in points, paired over the same questions. Its numbers
come from the statistics that all differences come from; a study's tests and their tables know nothing of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.counterpart import FREE, UNTUNED, kind
from instruct_ablate.cell.state.setting.keys import of_untuned
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.plural import counted
from instruct_ablate.prompt.template_set import DRAWN, FIRST
from instruct_ablate.report.rows.columns import key_headings
from instruct_ablate.report.rows.seed_means import ABILITY, Mean, forgotten, general_cells, general_mean
from instruct_ablate.report.rows.single_scores import SingleScores
from instruct_ablate.report.rows.trials import Trial, Trials
from instruct_ablate.report.statistics.comparison import Comparison, holm
from instruct_ablate.report.statistics.finding import probability
from instruct_ablate.report.statistics.paired import Pairing, pair
from instruct_ablate.report.statistics.tried import Tried, compare_all
from instruct_ablate.report.tables.tables import Table
from instruct_ablate.rounding import written

NO_UNTUNED = (
    "forgetting needs the untuned model's cell with the same evaluation.general, which is not done: a sweep asks for "
    "it by itself (with_untuned=true), data_budget=0 runs it alone"
)
OTHER_UNTUNED = (
    "forgetting is told beside an untuned model's cell that is alike; the one that is done differs in"
)
TEXTS = "the texts of templates"
WITH_TRAINING = ", for that of prompt.training_template counts and is under no test"


@dataclass(frozen=True, slots=True)
class General:
    """A setting's general ability; what it has forgotten, where its untuned model is done too.

    `comparison` is of trained less untuned: forgetting is its negative.
    """

    trial: Trial
    score: Mean
    untuned: Mean | None = None
    forgetting: Mean | None = (
        None  # points that only the untuned model has; below 0 where training gained some
    )
    comparison: Comparison | None = None
    p_difference: float = math.nan  # Holm-adjusted over the study's settings

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of forgetting; None where there is none."""
        low, high = self.comparison.interval95 if self.comparison else (math.nan, math.nan)
        return None if math.isnan(low) else (-high, -low)


def general_abilities(
    cells: Sequence[CellRecord], reference: str, folder: Path | None = None
) -> tuple[General, ...]:
    """Return the general ability of every setting that has one, untuned models first.

    `folder` is the study's, where the scores of single questions lie: with them the interval is paired over these.
    """
    own = general_cells(cells)
    trials, singles, legend = Trials(own), SingleScores(own, folder), Legend(cell.setting for cell in own)
    order = sorted(trials.scores, key=lambda trial: legend.order(trial.setting, reference))
    pairs = {trial: found for trial in order if (found := _paired(trial, trials, singles, reference))}
    compared = dict(
        zip(pairs, compare_all([Tried(pairing, other) for pairing, other in pairs.values()]), strict=True)
    )
    raw = [math.nan if one.one_seed else one.p_difference for one in compared.values()]
    adjusted = dict(zip(compared, holm(raw), strict=True))
    return tuple(
        General(
            trial,
            _score(trial, trials),
            _score(pairs[trial][1], trials) if trial in pairs else None,
            forgotten(trial, trials, reference),
            compared.get(trial),
            adjusted.get(trial, math.nan),
        )
        for trial in order
    )


def _paired(
    trial: Trial, trials: Trials, singles: SingleScores, reference: str
) -> tuple[Pairing, Trial] | None:
    """Pair a trained setting with its untuned model, whose one answer stands against every seed."""
    untuned = trials.untuned(trial, reference)
    if untuned is None:
        return None
    pairing = pair(trials.scores[trial], trials.scores[untuned], ABILITY, seedless=True)
    return (singles.added(pairing, (trial, untuned), ABILITY), untuned) if pairing else None


def _score(trial: Trial, trials: Trials) -> Mean:
    mean = general_mean(trial, trials)
    assert mean is not None  # every question has choices, and so an exact match
    return mean


def general_table(found: Sequence[General], legend: Legend) -> Table:
    """Lay it out, a line a setting."""
    keys = legend.columns("model", "data_budget", "instruction")
    numbers = ("general", "untuned", "forgetting", "95 % interval", "p (difference)", "seeds", "tasks")
    lines = tuple(_line(one, legend, keys) for one in found)
    return Table("General ability", (*key_headings(keys, numbers), *numbers), lines, len(keys))


def _line(one: General, legend: Legend, keys: Sequence[str]) -> tuple[str, ...]:
    place = tuple(legend.text(one.trial.setting, key) for key in keys)
    if one.comparison is None or one.forgetting is None:
        return (*place, written(one.score.value), "-", "-", "-", "-", str(one.score.seeds), "-")
    untuned = "-" if one.untuned is None else written(one.untuned.value)
    alone = " (this seed)" if one.comparison.one_seed else ""
    ends = [written(end, signed=True) for end in one.interval or ()]
    interval = f"[{', '.join(ends)}]{alone}" if ends else "-"
    told = (
        written(one.score.value),
        untuned,
        written(one.forgetting.value, signed=True),
        interval,
        probability(one.p_difference),
    )
    return (*place, *told, str(one.comparison.seeds), str(one.comparison.units))


def general_lines(found: Sequence[General]) -> Iterator[str]:
    """Say what is lacking for forgetting, once for each reason."""
    settings = [one.trial.setting for one in found]
    trained = [one for one in found if not one.trial.setting.untuned]
    reasons = Counter(_lacking(one.trial.setting, settings) for one in trained if one.comparison is None)
    for reason, number in reasons.items():
        yield f"{number} of {counted(len(trained), 'trained setting')}: {reason}"


def _lacking(trained: Setting, settings: Iterable[Setting]) -> str:
    """Say why a setting has no untuned model beside it: none is done, or what is done is another one."""
    untuned = [one for one in settings if kind(one) == UNTUNED and one.model == trained.model]
    differing = sorted((keys for one in untuned if (keys := _differing(trained, one))), key=len)
    return f"{OTHER_UNTUNED} {', '.join(differing[0])}" if differing else NO_UNTUNED


def _differing(trained: Setting, untuned: Setting) -> list[str]:
    """Name what should be the same of a trained setting and its untuned model, and is not."""
    read = [key for key in dict.fromkeys((*trained.keys, *untuned.keys)) if of_untuned(key)]
    free = ("data_budget", "instruction", *FREE)
    values = [key for key in read if key not in free and trained.get(key) != untuned.get(key)]
    names = dict.fromkeys(name for one in (trained, untuned) for name, _ in one.revisions)
    own = [name for name in names if trained.revision(name) != untuned.revision(name)]
    named = trained.get("prompt.training_template") not in (FIRST, DRAWN)
    texts = TEXTS + WITH_TRAINING * named
    return [*values, *(texts if name == "prompt" else f"the content of {name}" for name in own)]


CAPTION = (
    "Exact match over the questions of evaluation.general, whose choices are ranked under no variant; forgetting is "
    "the untuned model's less the trained one's, paired over questions, in points: below 0 the model has gained. The "
    "p-values are Holm-corrected over this table; intervals are not."
)
