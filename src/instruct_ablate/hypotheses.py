"""Hypotheses: claims written in an experiment file, read into a form that can be tested.

    clause     := side verb side ["on" metric] ["within" | "by" number ["points"]]
                  ["for" number "% of tasks"] ["at training" | "at test"]
    verb       := "equals" | "exceeds" | "is lower than" | "is lower"
    hypothesis := clause { ";" clause }

A later clause may leave out a side or the metric: it is then that of the clause before, which may have left it out too.
Bounds, shares of tasks and `at training` are each clause's own.

A side is a variant's label (original, simplified, delusive, ...), `untuned`, or any value of any key of a setting: bare
where that says enough (a model's name, `lora`, `constrained`), or as `trainer.learning_rate=1e-4`, several joined by
commas. `equals ... within M for 90 % of tasks` is a claim on single tasks, not on their mean: so many lie within M.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from instruct_ablate.errors import UserError
from instruct_ablate.metrics.measures import measure_names, unknown_measure

Verb = Literal["equals", "exceeds", "is lower"]
Where = Literal["same", "training", "test"]

_SIDE = r"(?!equals\b|exceeds\b|is\b)[^\s;]+"
_CLAUSE = re.compile(
    rf"^(?:(?P<left>{_SIDE})\s+)?(?P<verb>equals|exceeds|is lower)(?:\s+than)?"
    rf"(?:\s+(?!on\b|within\b|by\b|for\b|at\b)(?P<right>{_SIDE}))?"
    r"(?:\s+on\s+(?P<metric>\w+))?"
    r"(?:\s+(?P<kind>within|by)\s+(?P<number>\d+(?:\.\d+)?)(?:\s+points?)?)?"
    r"(?:\s+for\s+(?P<share>\d+(?:\.\d+)?)\s*%\s+of\s+tasks)?"
    r"(?:\s+at\s+(?P<where>training|test))?$"
)
_FORM = (
    "write `A equals B on METRIC within N`, `A exceeds B on METRIC by N` or `A is lower than B on METRIC`, "
    "each may end in `at training` or `at test`, `within N` may go on as `for 90 % of tasks`; join clauses by `;`."
)


@dataclass(frozen=True, slots=True)
class Clause:
    """One claim: left (less right) on a metric, against a margin in percentage points, or in the metric's own unit.

    `where`: same: each side trained and tested on its own variant; training: trained on the variant, tested
    alike; test: trained alike (on the reference), tested on the variant.
    """

    left: str
    verb: Verb
    right: str
    metric: str
    margin: float
    where: Where
    share: float | None = None  # of single tasks within the margin; None: the claim is on their mean


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A claim as written, with its clauses; all must hold. One without any has a fault: why it cannot be read."""

    text: str
    clauses: tuple[Clause, ...]
    fault: str = ""


def parse_hypothesis(text: str) -> Hypothesis:
    """Read a hypothesis; `UserError` says what of it is not understood."""
    clauses: list[Clause] = []
    for part in text.split(";"):
        clauses.append(_clause(" ".join(part.split()), text, clauses[-1] if clauses else None))
    return Hypothesis(text, tuple(clauses))


def stored_hypothesis(text: str) -> Hypothesis:
    """Read a hypothesis of a study that is there already; one that is not understood says why."""
    try:
        return parse_hypothesis(text)
    except UserError as error:
        return Hypothesis(text, (), f"cannot be read: {error}")


def _clause(part: str, text: str, before: Clause | None) -> Clause:
    found = _CLAUSE.match(part)
    if found is None:
        raise UserError(f"hypothesis {text!r}: {part!r} is not understood; {_FORM}")
    left = found["left"] or (before.left if before else None)
    right = found["right"] or (before.right if before else None)
    metric = found["metric"] or (before.metric if before else None)
    if left is None or right is None or metric is None:
        raise UserError(f"hypothesis {text!r}: {part!r} lacks a side or its metric; {_FORM}")
    if metric not in measure_names():
        raise unknown_measure(f"metric in hypothesis {text!r}:", metric)
    verb, where = cast(Verb, found["verb"]), cast(Where, found["where"] or "same")
    if verb == "equals" and found["number"] is None:
        raise UserError(f"hypothesis {text!r}: say within how many points, as in `within 2`.")
    if (found["kind"] == "within") != (verb == "equals") and found["kind"]:
        raise UserError(f"hypothesis {text!r}: `equals` goes with `within`, the others with `by`.")
    return Clause(
        left, verb, right, metric, float(found["number"] or 0.0), where, _share(found["share"], verb, text)
    )


def _share(percent: str | None, verb: Verb, text: str) -> float | None:
    if percent is None:
        return None
    if verb != "equals" or not 0 < float(percent) < 100:
        raise UserError(f"hypothesis {text!r}: `for N % of tasks` goes with `equals`, N between 0 and 100.")
    return float(percent) / 100
