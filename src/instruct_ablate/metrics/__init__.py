"""Metrics: one registry, the user's own in it like the built-in ones; predictions in, named values out."""

from instruct_ablate.metrics import built_in as _built_in  # noqa: F401 - registers its entries
from instruct_ablate.metrics import constraints as _constraints  # noqa: F401
from instruct_ablate.metrics import lenient as _lenient  # noqa: F401
from instruct_ablate.metrics import likelihood as _likelihood  # noqa: F401
from instruct_ablate.metrics import multilingual as _multilingual  # noqa: F401
from instruct_ablate.metrics.aggregation import aggregate, mean_scores
from instruct_ablate.metrics.measures import Measure, find_measure
from instruct_ablate.metrics.registry import (
    BUILT_IN_ALONE,
    Metric,
    Selection,
    find_metric,
    load_metrics,
    metric,
    registered,
)
from instruct_ablate.metrics.scoring import score_all, score_prediction, score_predictions
from instruct_ablate.scores import InstanceScore, Score, Scores, TaskScore, Values

__all__ = [
    "BUILT_IN_ALONE",
    "InstanceScore",
    "Measure",
    "Metric",
    "Score",
    "Scores",
    "Selection",
    "TaskScore",
    "Values",
    "aggregate",
    "find_measure",
    "find_metric",
    "load_metrics",
    "mean_scores",
    "metric",
    "registered",
    "score_all",
    "score_prediction",
    "score_predictions",
]
