"""Scores: exact match, ROUGE and format correctness; pure functions of predictions and references.

The protocol is Tk-Instruct's (Wang et al. 2022, `compute_metrics.py`), default English track.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from instruct_ablate.aggregation import aggregate, uniform_guess
from instruct_ablate.errors import UserError
from instruct_ablate.extensions import load_function
from instruct_ablate.normalisation import normalised, strict
from instruct_ablate.prompt.prompt import Prediction
from instruct_ablate.scores import InstanceScore, Score, Scores, TaskScore

__all__ = [
    "InstanceScore",
    "Metric",
    "Score",
    "Scores",
    "TaskScore",
    "aggregate",
    "exact_match",
    "in_label_space",
    "load_metrics",
    "score_all",
    "score_prediction",
    "uniform_guess",
]


Metric = Callable[[str, Sequence[str]], float]
"""A user's metric: prediction and references in, a number in [0, 1] out (reported in percent)."""


def exact_match(prediction: str, references: Sequence[str]) -> bool:
    """Tell whether a prediction equals any reference once both are normalised."""
    said = normalised(prediction)
    return any(said == normalised(reference) for reference in references)


def in_label_space(prediction: str, label_space: Sequence[str]) -> bool:
    """Tell whether a prediction is a label letter for letter, white space at its ends aside.

    Plain string equality as in Kung & Peng's format analysis: case and punctuation count here.
    """
    said = strict(prediction)
    return any(said == strict(label) for label in label_space)


def score_prediction(
    prediction: str,
    references: Sequence[str],
    label_space: Sequence[str] | None = None,
    extra: Sequence[tuple[str, Metric]] = (),
) -> InstanceScore:
    """Score one prediction; each metric takes its own best reference."""
    from instruct_ablate.rouge import best_rouge

    if not references:
        raise UserError(f"nothing to score {prediction[:60]!r} against: the instance has no references.")
    rouge1, rouge_l = best_rouge(prediction, tuple(references))
    inside = in_label_space(prediction, label_space) if label_space else None
    further = tuple((name, _applied(name, metric, prediction, references)) for name, metric in extra)
    return InstanceScore(float(exact_match(prediction, references)), rouge1, rouge_l, inside, further)


def _applied(name: str, metric: Metric, prediction: str, references: Sequence[str]) -> float:
    value = metric(prediction, references)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(
            f"metric {name} gave {value!r} for {prediction[:60]!r}: it must return a finite number."
        )
    return float(value)


def load_metrics(paths: Sequence[str]) -> tuple[tuple[str, Metric], ...]:
    """Find the user's metrics by dotted path (`module.function`); each is called by its function's name."""
    found = tuple((path.rpartition(".")[2], load_function(path, "evaluation.metrics")) for path in paths)
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        raise UserError(f"evaluation.metrics: two metrics are called alike among {', '.join(paths)}.")
    return found


# Below so many different things to score, starting processes costs more than it saves.
_WORTH_A_POOL = 60_000
Item = tuple[str, tuple[str, ...], "tuple[str, ...] | None"]


def score_all(
    predictions: Sequence[Prediction], workers: int | None = None, extra: Sequence[str] = ()
) -> tuple[InstanceScore, ...]:
    """Score predictions in order, each distinct (text, references, labels) once.

    `extra` are dotted paths of further metrics. `workers` processes share the work; None: one, unless there
    is so much that more pay off.
    """
    items: list[Item] = [(p.text, p.prompt.references, p.prompt.choices) for p in predictions]
    distinct = tuple(dict.fromkeys(items))
    if workers is None:
        workers = 1 if len(distinct) < _WORTH_A_POOL else 4
    results = _score_items(distinct, extra) if workers <= 1 else _score_apart(distinct, workers, tuple(extra))
    known = dict(zip(distinct, results, strict=True))
    return tuple(known[item] for item in items)


def _score_items(items: Sequence[Item], extra: Sequence[str]) -> list[InstanceScore]:
    metrics = load_metrics(extra)
    return [score_prediction(text, references, labels, metrics) for text, references, labels in items]


def _score_apart(items: Sequence[Item], workers: int, extra: tuple[str, ...]) -> list[InstanceScore]:
    """Score in fresh processes: a forked one could inherit a locked tokenizer or device."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    size = max(1, math.ceil(len(items) / (4 * workers)))
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        scored = pool.map(_score_items, parts, [extra] * len(parts))
        return [score for part in scored for score in part]
