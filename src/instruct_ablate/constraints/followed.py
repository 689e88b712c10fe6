"""Which of its constraints an answer keeps to: strictly, as it stands, or loosely, in one of its forms.

The loose forms are the published definition's eight: the answer, without its first line, without its last, without
both; and each of these without asterisks. A constraint is loosely kept where any form keeps to it, whichever that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from instruct_ablate.constraints.constraint import Constraint


@dataclass(frozen=True, slots=True)
class Followed:
    """For each constraint, whether it is kept strictly and loosely."""

    strict: tuple[bool, ...]
    loose: tuple[bool, ...]


def loose_forms(answer: str) -> tuple[str, ...]:
    """Return the forms of an answer by which it is judged loosely, each once, the answer itself first."""
    lines = answer.split("\n")
    cut = ("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))
    forms = (answer, *cut)
    return tuple(dict.fromkeys((*forms, *(form.replace("*", "") for form in forms))))


@lru_cache(maxsize=2**10)
def followed(constraints: tuple[Constraint, ...], answer: str) -> Followed:
    """Check an answer by each constraint."""
    forms = loose_forms(answer)
    return Followed(
        tuple(one.met_by(answer) for one in constraints),
        tuple(_in_any(one, forms) for one in constraints),
    )


def _in_any(one: Constraint, forms: Sequence[str]) -> bool:
    return any(one.met_by(form) for form in forms)
