"""Constraints that a program can check on a text: what verifiable instructions demand of an answer."""

from instruct_ablate.constraints import layout as _layout  # noqa: F401 - registers its kinds
from instruct_ablate.constraints import length as _length  # noqa: F401
from instruct_ablate.constraints import wording as _wording  # noqa: F401
from instruct_ablate.constraints.constraint import Constraint, constraints_of, kinds, make, to_text
from instruct_ablate.constraints.followed import Followed, followed, loose_forms

__all__ = [
    "Constraint",
    "Followed",
    "constraints_of",
    "followed",
    "kinds",
    "loose_forms",
    "make",
    "to_text",
]
