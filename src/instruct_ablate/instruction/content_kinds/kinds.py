"""Kinds of content in a definition, after Yin et al. (2023): a segment of a definition carries one or more of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["input", "action", "output", "label_list", "label_definition", "details"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a definition, with the white space behind it, and the kinds of content that it carries."""

    text: str
    kinds: frozenset[Kind]
