"""Scoring: every metric over single predictions; pure functions of predictions and references.

The protocol is Tk-Instruct's (Wang et al. 2022, `compute_metrics.py`), default English track; tasks in other letters
than Latin ones are cut into words by a rule of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from instruct_ablate.configuration.extensions import called
from instruct_ablate.constraints import constraints_of
from instruct_ablate.errors import UserError
from instruct_ablate.metrics.registry import AT_REPORT, BUILT_IN_ALONE, KEY, Metric, Selection, built_in
from instruct_ablate.prompt.prompt import Likelihood, Prediction
from instruct_ablate.scores import InstanceScore
from instruct_ablate.tasks.languages import word_rule, word_rules
from instruct_ablate.tasks.task import WordRule


def score_prediction(
    prediction: str,
    references: Sequence[str],
    label_space: Sequence[str] | None = None,
    metrics: Sequence[Metric] | None = None,
    rule: WordRule | None = None,
    likelihoods: Sequence[Likelihood] | None = None,
) -> InstanceScore:
    """Score one prediction by `metrics`, None: the built-in ones; each metric takes its own best reference.

    `rule` is its task's, None: that of these references by themselves. Without `likelihoods`, of the references, a
    metric that reads the model has no value.
    """
    if not references:
        raise UserError(f"nothing to score {prediction[:60]!r} against: the instance has no references.")
    if constraints := constraints_of(tuple(references)):  # no right output to compare with, nor to be likely
        beside: dict[str, object] = {"constraints": constraints}
    else:
        beside = {
            "label_space": label_space,
            "word_rule": rule or word_rule(references),
            "model": likelihoods,
        }
    values = [
        (metric.name, value)
        for metric in (built_in() if metrics is None else metrics)
        if (value := _value(metric, prediction, references, beside)) is not None
    ]
    return InstanceScore(tuple(values))


def _value(
    metric: Metric, prediction: str, references: Sequence[str], beside: Mapping[str, object]
) -> float | None:
    if metric.reads in AT_REPORT:
        return None
    if metric.reads == "text" and not (metric.is_built_in and "constraints" in beside):
        return checked(metric, called(KEY, metric.score, prediction, references), prediction)
    if not (read := beside.get(metric.reads)):
        return None
    return checked(metric, called(KEY, metric.score, prediction, references, read), prediction)


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
Item = tuple[
    str, tuple[str, ...], "tuple[str, ...] | None", "WordRule | None", "tuple[Likelihood, ...] | None"
]


def with_rules(predictions: Iterable[Prediction]) -> tuple[Prediction, ...]:
    """Return the predictions with their tasks' word rules; the references of a task tell where none is noted."""
    given = tuple(predictions)
    return tuple(
        one if one.prompt.word_rule else replace(one, prompt=replace(one.prompt, word_rule=rule))
        for one, rule in zip(given, _rules(given), strict=True)
    )


def _rules(predictions: Sequence[Prediction]) -> list[WordRule]:
    prompts = [one.prompt for one in predictions]
    found = word_rules((one.task, one.references) for one in prompts if one.word_rule is None)
    return [one.word_rule or found[one.task] for one in prompts]


def _items(predictions: Iterable[Prediction]) -> list[Item]:
    given = tuple(predictions)  # not `with_rules`: copies of two objects each take a tenth of all scoring
    return [
        (one.text, one.prompt.references, one.prompt.choices, rule, one.likelihoods)
        for one, rule in zip(given, _rules(given), strict=True)
    ]


def score_all(
    predictions: Sequence[Prediction], workers: int | None = None, metrics: Selection = BUILT_IN_ALONE
) -> tuple[InstanceScore, ...]:
    """Score predictions in order, each distinct (text, references, labels, rule, likelihoods) once.

    `workers` processes share the work; None: one, unless there is so much that more pay off.
    """
    items = _items(predictions)
    # Short answers repeat: of a task with labels there are few different pairs of answer and references.
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
    items = _items(predictions)
    for item in items:
        if item not in known:
            known[item] = _score(item, metrics)
    return tuple(known[item] for item in items)


def _score(item: Item, metrics: Sequence[Metric]) -> InstanceScore:
    text, references, labels, rule, likelihoods = item
    return score_prediction(text, references, labels, metrics, rule, likelihoods)


def _score_items(items: Sequence[Item], metrics: Selection) -> list[InstanceScore]:
    loaded = metrics.load()
    return [_score(item, loaded) for item in items]


def _score_apart(items: Sequence[Item], workers: int, metrics: Selection) -> list[InstanceScore]:
    """Score in fresh processes: a forked one could inherit a locked tokenizer or device."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    size = max(1, math.ceil(len(items) / (4 * workers)))
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        scored = pool.map(_score_items, parts, [metrics] * len(parts))
        return [score for part in scored for score in part]
