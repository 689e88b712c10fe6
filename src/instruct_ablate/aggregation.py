"""Scores of single predictions averaged: overall, per task, per kind and per category."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from instruct_ablate.errors import UserError
from instruct_ablate.prompt.prompt import Prediction
from instruct_ablate.scores import InstanceScore, Score, Scores, TaskScore

Pair = tuple[Prediction, InstanceScore]
T = TypeVar("T")


def uniform_guess(label_space: Sequence[str]) -> float:
    """Return the chance, in [0, 1], that a uniform guess over the distinct labels is right."""
    return 1 / len({label.strip() for label in label_space})


def aggregate(predictions: Sequence[Prediction], instance_scores: Sequence[InstanceScore]) -> Scores:
    """Average instance scores into percentages.

    Overall and categories weigh instances alike, as Tk-Instruct does; kinds and `task_mean` weigh tasks
    alike, as Kung & Peng do. Format correctness and uniform guess are taken where there is a label space.
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
    scores = [score for _, score in pairs]
    return Score(
        name,
        len(pairs),
        _percent(score.exact_match for score in scores),
        _percent(score.rouge1 for score in scores),
        _percent(score.rougeL for score in scores),
        _mean_of_known(100.0 * s.in_label_space for s in scores if s.in_label_space is not None),
        _mean_of_known(100.0 * uniform_guess(p.prompt.choices) for p, _ in pairs if p.prompt.choices),
        _extra([[(key, 100.0 * value) for key, value in score.extra] for score in scores]),
    )


def _over_tasks(name: str, tasks: Sequence[TaskScore]) -> Score:
    scores = [task.score for task in tasks]
    return Score(
        name,
        sum(score.instances for score in scores),
        _mean([score.exact_match for score in scores]),
        _mean([score.rouge1 for score in scores]),
        _mean([score.rougeL for score in scores]),
        _mean_of_known(s.format_correctness for s in scores if s.format_correctness is not None),
        _mean_of_known(s.uniform_guess for s in scores if s.uniform_guess is not None),
        _extra([score.extra for score in scores]),
    )


def _extra(rows: Iterable[Sequence[tuple[str, float]]]) -> tuple[tuple[str, float], ...]:
    values: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row:
            values.setdefault(name, []).append(value)
    return tuple((name, _mean(of_name)) for name, of_name in values.items())


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _percent(values: Iterable[float]) -> float:
    return 100.0 * _mean(list(values))


def _mean_of_known(values: Iterable[float]) -> float | None:
    """Average what there is; None where there is nothing."""
    known = list(values)
    return _mean(known) if known else None
