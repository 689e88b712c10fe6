"""Verifiable instructions: the share of prompts whose constraints are all kept, and the share of constraints kept.

Strict: the answer as it stands; loose: any of its eight forms (`constraints/followed`). On instances whose references
are constraints, and on no others. The second pair counts each constraint alike, as the published instruction-level
accuracy does: a mean over instances weighs each by how many it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from instruct_ablate.constraints import Constraint, constraints_of, followed
from instruct_ablate.constraints.language import check_languages
from instruct_ablate.errors import UserError
from instruct_ablate.metrics.registry import KEY, Metric, metric
from instruct_ablate.tasks.task import Kind, Task

PROMPT_STRICT, PROMPT_LOOSE = "prompt_level_strict", "prompt_level_loose"
INSTRUCTION_STRICT, INSTRUCTION_LOOSE = "instruction_level_strict", "instruction_level_loose"
ALL = (PROMPT_STRICT, INSTRUCTION_STRICT, PROMPT_LOOSE, INSTRUCTION_LOOSE)
F = TypeVar("F", bound=Callable[..., float | None])


def _metric(name: str, heading: str, per_reference: bool = False) -> Callable[[F], F]:
    others = tuple(one for one in ALL if one != name)
    kinds: tuple[Kind, ...] = ("generation",)
    return metric(name, heading, reads="constraints", kinds=kinds, brings=others, per_reference=per_reference)


@_metric(PROMPT_STRICT, "prompts\nstrict")
def prompt_level_strict(
    prediction: str, references: Sequence[str], constraints: Sequence[Constraint]
) -> float:
    """Whether an answer keeps to all constraints as it stands."""
    return float(all(followed(tuple(constraints), prediction).strict))


@_metric(INSTRUCTION_STRICT, "constraints\nstrict", per_reference=True)
def instruction_level_strict(
    prediction: str, references: Sequence[str], constraints: Sequence[Constraint]
) -> float:
    """The share of the constraints that an answer keeps to as it stands."""
    return _share(followed(tuple(constraints), prediction).strict)


@_metric(PROMPT_LOOSE, "prompts\nloose")
def prompt_level_loose(
    prediction: str, references: Sequence[str], constraints: Sequence[Constraint]
) -> float:
    """Whether for each constraint some form of an answer keeps to it."""
    return float(all(followed(tuple(constraints), prediction).loose))


@_metric(INSTRUCTION_LOOSE, "constraints\nloose", per_reference=True)
def instruction_level_loose(
    prediction: str, references: Sequence[str], constraints: Sequence[Constraint]
) -> float:
    """The share of the constraints that some form of an answer keeps to."""
    return _share(followed(tuple(constraints), prediction).loose)


def _share(kept: Sequence[bool]) -> float:
    return sum(kept) / len(kept)


def check_tested(tasks: Sequence[Task], metrics: Sequence[Metric]) -> None:
    """Refuse to test answers that are checked by constraints without a metric that reads these, or what it needs."""
    first = ((task, next(iter(task.instances), None)) for task in tasks)
    checked = [task for task, one in first if one is not None and constraints_of(one.references)]
    if checked and not any(one.reads == "constraints" for one in metrics):
        raise UserError(
            f"{checked[0].name}: its answers are checked by constraints, and none of {KEY} reads them: "
            f"add {PROMPT_STRICT}, which brings the other three ({', '.join(ALL[1:])})."
        )
    found = (c for task in checked for one in task.instances for c in constraints_of(one.references))
    codes = {code for each in found for name, code in each.values if name == "language" and code is not None}
    check_languages(tuple(sorted(map(str, codes))))
