"""What a prediction, a task and a whole score block scored, as frozen records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InstanceScore:
    """Scores of one prediction, each in [0, 1]; `in_label_space` is None for generation."""

    exact_match: float
    rouge1: float
    rougeL: float  # noqa: N815 - the field's own name
    in_label_space: bool | None = None
    extra: tuple[tuple[str, float], ...] = ()  # a user's further metrics


@dataclass(frozen=True, slots=True)
class Score:
    """Means over instances, in percent; `uniform_guess` and `format_correctness` None for generation."""

    name: str
    instances: int
    exact_match: float
    rouge1: float
    rougeL: float  # noqa: N815
    format_correctness: float | None = None
    uniform_guess: float | None = None
    extra: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one score block.

    `overall` averages over instances (Tk-Instruct); `task_mean` averages the tasks' means (Kung & Peng).
    `kinds` holds classification and generation, averaged per task. `tasks` carry "kind" and "category" too.
    """

    overall: Score
    task_mean: Score
    kinds: tuple[Score, ...]
    categories: tuple[Score, ...]
    tasks: tuple[TaskScore, ...]


@dataclass(frozen=True, slots=True)
class TaskScore:
    """The score of one task."""

    kind: str
    category: str
    score: Score
