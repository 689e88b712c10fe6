"""Scoring: every metric over single predictions; pure functions of predictions and references.

The protocol is Tk-Instruct's (Wang et al. 2022, `compute_metrics.py`), default English track.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from instruct_ablate.errors import UserError
from instruct_ablate.metrics.registry import BUILT_IN_ALONE, Metric, Selection, built_in
from instruct_ablate.prompt.prompt import Prediction
from instruct_ablate.scores import InstanceScore


def score_prediction(
    prediction: str,
    references: Sequence[str],
    label_space: Sequence[str] | None = None,
    metrics: Sequence[Metric] | None = None,
) -> InstanceScore:
    """Score one prediction by `metrics`, None: the built-in ones; each metric takes its own best reference."""
    if not references:
        raise UserError(f"nothing to score {prediction[:60]!r} against: the instance has no references.")
    values = [
        (metric.name, value)
        for metric in (built_in() if metrics is None else metrics)
        if (value := _value(metric, prediction, references, label_space)) is not None
    ]
    return InstanceScore(tuple(values))


def _value(
    metric: Metric, prediction: str, references: Sequence[str], label_space: Sequence[str] | None
) -> float | None:
    if metric.reads == "cells":
        return None  # a report computes it, over the seeds of a setting
    if metric.reads == "text":
        return checked(metric, metric.score(prediction, references), prediction)
    return (
        checked(metric, metric.score(prediction, references, label_space), prediction)
        if label_space
        else None
    )


def checked(metric: Metric, value: object, prediction: str) -> float | None:
    """Return a metric's value as a number; one that is none, or is outside the metric's range, is refused."""
    if value is None:
        return None
    low, high = metric.range or (-math.inf, math.inf)
    if not isinstance(value, int | float) or not math.isfinite(value):
        wanted = "it must return a finite number, or None where it is not defined."
    elif not low <= value <= high:
        wanted = f"its range is {low:g} to {high:g}."
    else:
        return float(value)
    raise UserError(f"metric {metric.name} gave {value!r} for {prediction[:60]!r}: {wanted}")


# Below so many different things to score, starting processes costs more than it saves.
_WORTH_A_POOL = 60_000
Item = tuple[str, tuple[str, ...], "tuple[str, ...] | None"]


def score_all(
    predictions: Sequence[Prediction], workers: int | None = None, metrics: Selection = BUILT_IN_ALONE
) -> tuple[InstanceScore, ...]:
    """Score predictions in order, each distinct (text, references, labels) once.

    `workers` processes share the work; None: one, unless there is so much that more pay off.
    """
    items: list[Item] = [(p.text, p.prompt.references, p.prompt.choices) for p in predictions]
    distinct = tuple(dict.fromkeys(items))
    if workers is None:
        workers = 1 if len(distinct) < _WORTH_A_POOL else 4
    results = _score_items(distinct, metrics) if workers <= 1 else _score_apart(distinct, workers, metrics)
    known = dict(zip(distinct, results, strict=True))
    return tuple(known[item] for item in items)


def score_predictions(
    predictions: Sequence[Prediction], metrics: Sequence[Metric]
) -> tuple[InstanceScore, ...]:
    """Score predictions in order, each distinct one once, by metrics that are loaded."""
    known: dict[Item, InstanceScore] = {}
    for one in predictions:
        item = (one.text, one.prompt.references, one.prompt.choices)
        if item not in known:
            known[item] = score_prediction(*item, metrics)
    return tuple(known[one.text, one.prompt.references, one.prompt.choices] for one in predictions)


def _score_items(items: Sequence[Item], metrics: Selection) -> list[InstanceScore]:
    loaded = metrics.load()
    return [score_prediction(text, references, labels, loaded) for text, references, labels in items]


def _score_apart(items: Sequence[Item], workers: int, metrics: Selection) -> list[InstanceScore]:
    """Score in fresh processes: a forked one could inherit a locked tokenizer or device."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    size = max(1, math.ceil(len(items) / (4 * workers)))
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        scored = pool.map(_score_items, parts, [metrics] * len(parts))
        return [score for part in scored for score in part]
