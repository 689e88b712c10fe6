"""Categories and tasks by variant: a line a group and place, a column a variant, means over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.legend import Legend, heading
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.metrics import Score, find_measure, find_metric, mean_scores
from instruct_ablate.report.figures.paper import best
from instruct_ablate.report.rows.budgets import span
from instruct_ablate.report.rows.columns import group_columns
from instruct_ablate.report.rows.seed_means import Mean
from instruct_ablate.report.rows.trials import Trial, Trials, tested_as_usual
from instruct_ablate.report.tables.tables import Table, groups_of
from instruct_ablate.report.tables.terminal_table import Form, number

CLASH = "clash"  # several cells are one setting and seed: nobody can say which is meant
MOST_ON_PAGE = 400  # lines of tasks


@dataclass(slots=True)
class _Line:
    """The scores of a group at a place: by variant and seed, and over how many instances each is."""

    instances: set[int] = field(default_factory=set)  # predictions made elsewhere may be over fewer
    values: dict[str, dict[int, list[float]]] = field(default_factory=dict)

    def add(self, variant: str, seed: int, value: float, instances: int) -> None:
        """Take in a cell's score."""
        self.instances.add(instances)
        self.values.setdefault(variant, {}).setdefault(seed, []).append(value)

    def clashes(self, variant: str) -> bool:
        """Whether several cells are this variant with one seed."""
        return any(len(values) > 1 for values in self.values.get(variant, {}).values())

    def mean(self, variant: str) -> Mean | None:
        """Return the mean over seeds, where there is one."""
        values = [value for own in self.values.get(variant, {}).values() for value in own]
        if not values or self.clashes(variant):
            return None
        return Mean(
            statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values)
        )

    def text(self, variant: str, mean: Mean | None, digits: int) -> str:
        """Write the variant's mean."""
        return CLASH if self.clashes(variant) else number(mean, form=Form(digits=digits))


Place = tuple[str, ...]
Key = tuple[str, Place, Place]  # metric, group, place


def pivot_table(
    cells: Iterable[CellRecord], by: str, reference: str = "original", columns: Sequence[str] = ()
) -> Table:
    """Lay the metrics by "category" or "task" out, a column a variant, a line for each place of the grid.

    What was not trained stands beside every place that it is the start of.
    """
    done = [cell for cell in cells if cell.state == "done"]
    trials = Trials(done)
    legend = Legend(cell.setting for cell in done)
    done.sort(key=lambda cell: (legend.order(cell.setting, reference), cell.seed))
    keys = [key for key in legend.keys if key != "instruction"]
    metrics = group_columns(done, columns)
    lines: dict[Key, _Line] = {}
    for cell in done:
        place = tuple(legend.text(cell.setting, key) for key in keys)
        trained = legend.text(cell.setting, "instruction")
        counted = {block.instruction for block in cell.blocks if _counts(cell, block.instruction, trials)}
        for tested, group, score in _groups(cell, by):
            if tested not in counted:
                continue
            variant = _variant(trained, cell.setting, tested)
            for metric, value in _measured(score, metrics):
                line = lines.setdefault((metric, group, place), _Line())
                line.add(variant, cell.seed, value, score.instances)
    _spread(
        lines,
        {tuple(legend.text(cell.setting, key) for key in keys) for cell in done if cell.setting.untuned},
    )
    variants = list(dict.fromkeys(variant for line in lines.values() for variant in line.values))
    ordered = sorted(lines, key=lambda key: (metrics.index(key[0]), key[1]))
    named = ("metric", "category", *(["task"] if by == "task" else []), *map(heading, keys))
    means = {key: [lines[key].mean(variant) for variant in variants] for key in ordered}
    body = tuple(_texts(key, lines[key], dict(zip(variants, means[key], strict=True))) for key in ordered)
    bold = frozenset(
        (number, len(named) + 1 + place)
        for number, key in enumerate(ordered)
        for place in best(means[key], find_metric(key[0]).higher_is_better)
    )
    return Table(f"By {by} and variant", (*named, "instances", *variants), body, len(named), bold)


def _counts(cell: CellRecord, tested: str, trials: Trials) -> bool:
    """Whether a cell's test counts in a mean over seeds: not of uneven tests, nor the same answers twice."""
    trial = Trial(cell.setting, tested)
    return trial not in trials.uneven and (trial not in trials.scores or cell.seed in trials.counted(trial))


def _measured(score: Score, metrics: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield those of the metrics that there are, with their values."""
    for metric in metrics:
        if (value := score.get(metric)) is not None:
            yield metric, value


def _groups(cell: CellRecord, by: str) -> Iterator[tuple[str, Place, Score]]:
    """Yield what a cell scored: test instruction, group, and the mean over its templates."""
    for blocks in cell.tests:
        for category, score in groups_of(mean_scores([block.scores for block in blocks]), by):
            yield blocks[0].instruction, (category, score.name) if category else (score.name,), score


def _variant(trained: str, setting: Setting, tested: str) -> str:
    """Name a column: what was trained on, and how it was tested where that is not alike."""
    return trained if tested_as_usual(setting, tested) else f"{trained}, tested on {tested}"


def _spread(lines: dict[Key, _Line], untrained: set[Place]) -> None:
    """Put what was not trained beside the places that say the same where it says anything, and drop its own lines.

    A baseline has none of the keys that an untuned model has (its prompt): it stands beside that model's places, too.
    """
    places: dict[tuple[str, Place], list[Place]] = {}
    for metric, group, place in lines:
        places.setdefault((metric, group), []).append(place)
    for metric, group, place in [key for key in lines if key[2] in untrained]:
        own = lines[metric, group, place]
        others = [where for where in places[metric, group] if where != place and _starts(place, where)]
        beside = [line for where in others if (line := lines.get((metric, group, where)))]
        for line in beside:
            line.values = {**own.values, **line.values}
            line.instances |= own.instances
        if beside:
            del lines[metric, group, place]


def _starts(place: Place, other: Place) -> bool:
    return all(mine in ("-", theirs) for mine, theirs in zip(place, other, strict=True))


def _texts(key: Key, line: _Line, means: Mapping[str, Mean | None]) -> tuple[str, ...]:
    metric, group, place = key
    name = find_metric(metric).heading.replace("\n", " ")
    digits = find_measure(metric).digits
    values = (line.text(variant, mean, digits) for variant, mean in means.items())
    return (name, *group, *place, span(line.instances), *values)
