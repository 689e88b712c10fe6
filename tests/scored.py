"""Scores written down in one line, for tests."""

from __future__ import annotations

from instruct_ablate.scores import InstanceScore, Score, Values


def values(
    exact: float,
    rouge1: float,
    rouge_l: float,
    form: float | None = None,
    guess: float | None = None,
    **own: float,
) -> Values:
    """The built-in metrics' values in their order, then further ones by name."""
    named = {
        "exact_match": exact,
        "rouge1": rouge1,
        "rougeL": rouge_l,
        "format_correctness": form,
        "uniform_guess": guess,
    }
    return tuple((name, float(value)) for name, value in {**named, **own}.items() if value is not None)


def score(name: str, instances: int, *given: float | None, **own: float) -> Score:
    """A mean: exact match, ROUGE-1, ROUGE-L and, for classification, format and guess."""
    return Score(name, instances, values(*given, **own))  # type: ignore[arg-type]


def instance_score(*given: float | None, **own: float) -> InstanceScore:
    """A prediction's score."""
    return InstanceScore(values(*given, **own))  # type: ignore[arg-type]
