"""Scores of single predictions averaged: overall, per task, per kind and per category."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from instruct_ablate.errors import UserError
from instruct_ablate.metrics.registry import described, registered
from instruct_ablate.prompt.prompt import Prediction
from instruct_ablate.scores import InstanceScore, Score, Scores, TaskScore, Values

Pair = tuple[Prediction, InstanceScore]
T = TypeVar("T")


def aggregate(predictions: Sequence[Prediction], instance_scores: Sequence[InstanceScore]) -> Scores:
    """Average instance scores, those of unit "%" into percentages.

    Overall and categories weigh instances alike, as Tk-Instruct does; kinds and `task_mean` weigh tasks
    alike, as Kung & Peng do. A metric is averaged over where it is defined.
    """
    if len(predictions) != len(instance_scores):
        raise ValueError(f"{len(predictions)} predictions, but {len(instance_scores)} scores")
    if not predictions:
        raise UserError("there are no predictions to score: no test task has an instance.")
    pairs = list(zip(predictions, instance_scores, strict=True))
    tasks = tuple(_task_score(name, group) for name, group in _groups(pairs, lambda p: p[0].prompt.task))
    return Scores(
        overall=_over_instances("overall", pairs),
        task_mean=_over_tasks("task_mean", tasks),
        kinds=tuple(
            _over_tasks(name, group) for name, group in sorted(_groups(tasks, lambda task: task.kind))
        ),
        categories=tuple(
            _over_instances(name, group)
            for name, group in sorted(
                _groups(pairs, lambda p: p[0].prompt.category), key=lambda item: item[0]
            )
        ),
        tasks=tasks,
    )


def _groups(items: Iterable[T], key: Callable[[T], str]) -> list[tuple[str, list[T]]]:
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return [(str(name), group) for name, group in groups.items()]


def _task_score(name: str, pairs: Sequence[Pair]) -> TaskScore:
    prompt = pairs[0][0].prompt
    return TaskScore(prompt.kind, prompt.category, _over_instances(name, pairs))


def _over_instances(name: str, pairs: Sequence[Pair]) -> Score:
    plain = {metric.name for metric in described() if metric.unit != "%"}
    means = _weighted(pairs, mean_values(score.values for _, score in pairs))
    values = tuple((key, mean if key in plain else 100.0 * mean) for key, mean in means)
    return Score(name, len(pairs), values)


def _weighted(pairs: Sequence[Pair], means: Values) -> Values:
    """Return the means, those of metrics per reference over all references: each instance weighs as many as it has."""
    weighing = {metric.name for metric in registered() if metric.per_reference} & {name for name, _ in means}
    if not weighing:
        return means
    return tuple((name, _per_reference(pairs, name) if name in weighing else mean) for name, mean in means)


def _per_reference(pairs: Sequence[Pair], name: str) -> float:
    scored = [
        (len(one.prompt.references), value) for one, score in pairs if (value := score.get(name)) is not None
    ]
    return math.fsum(weight * value for weight, value in scored) / sum(weight for weight, _ in scored)


def _over_tasks(name: str, tasks: Sequence[TaskScore]) -> Score:
    scores = [task.score for task in tasks]
    return Score(
        name, sum(score.instances for score in scores), mean_values(score.values for score in scores)
    )


def mean_values(rows: Iterable[Values]) -> Values:
    """Average each name's values over the rows that have it."""
    values: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row:
            values.setdefault(name, []).append(value)
    places = {metric.name: place for place, metric in enumerate(described())}
    names = sorted(values, key=lambda name: places.get(name, len(places)))
    # fsum rounds once, so that a mean does not hang on the order of its rows.
    return tuple((name, math.fsum(values[name]) / len(values[name])) for name in names)


def mean_scores(blocks: Sequence[Scores]) -> Scores:
    """Average what a cell scored on the same instances in several ways, each way alike: under several templates."""
    if len(blocks) == 1:
        return blocks[0]
    tasks = list(map(_same_name, _shared([[task.score for task in block.tasks] for block in blocks])))
    known = {task.score.name: task for task in blocks[0].tasks}
    return Scores(
        overall=_same_name([block.overall for block in blocks]),
        task_mean=_same_name([block.task_mean for block in blocks]),
        kinds=tuple(map(_same_name, _shared([block.kinds for block in blocks]))),
        categories=tuple(map(_same_name, _shared([block.categories for block in blocks]))),
        tasks=tuple(TaskScore(known[one.name].kind, known[one.name].category, one) for one in tasks),
    )


def _shared(sides: Sequence[Sequence[Score]]) -> Iterator[list[Score]]:
    """Yield what all sides have under one name, in the order of the first."""
    by_name = [{one.name: one for one in side} for side in sides]
    for name in by_name[0]:
        if all(name in side for side in by_name):
            yield [side[name] for side in by_name]


def _same_name(scores: Sequence[Score]) -> Score:
    return Score(scores[0].name, scores[0].instances, mean_values(score.values for score in scores))
