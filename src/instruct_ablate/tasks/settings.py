"""What the keys of `tasks` may be, whatever the reader makes of them."""

from __future__ import annotations

import re
from typing import Any

from instruct_ablate.limits import Limit, any_value, one_of, path, shown, text, text_fault, texts, whole
from instruct_ablate.tasks.readers.t0 import MIXTURES
from instruct_ablate.tasks.sampling.few_shot import TRAIN_ON
from instruct_ablate.tasks.sampling.selection import SUBSETS

NAME = 200  # characters of a column's, split's or category's name


def _columns() -> Limit:
    def fault(key: str, value: Any) -> str | None:
        if not isinstance(value, dict):
            return f"{key}={shown(value)}: write tasks.columns.input=COLUMN"
        for role, column in value.items():
            if (why := text_fault(column, NAME)) is not None:
                return f"{key}.{role}={shown(column)} {why}"
        return None

    return Limit(fault)


def _hash_fault(key: str, value: Any) -> str | None:
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value):
        return None
    return f"{key}={shown(value)}: give the 64 digits of `data_hash` in a cell's record.json"


LIMITS = {
    "reader": text(),
    "root": path().or_null("for what the reader brings along"),
    "split": text(NAME),
    "language": text(NAME).or_null("for any"),
    "categories": texts(NAME),
    "include": texts(),
    "train_categories": texts(NAME),
    "train_include": texts(),
    "test_categories": texts(NAME),
    "test_include": texts(),
    "test_subset": one_of(SUBSETS).or_null("for all"),
    "test_tasks": whole(1).or_null("for all"),
    "test_instances": whole(1).or_null("for all"),
    "train_on": one_of(TRAIN_ON),
    "validation": whole(0),
    "label_spaces": path().or_null("for the derived ones"),
    "train_split": text().or_null("for none"),
    "test_split": text().or_null("for none"),
    "columns": _columns(),
    "definition": text(1_000_000).or_null("for none"),
    "labels": texts(),
    "examples": whole(0, 1000),
    "mixture": one_of(tuple(MIXTURES)).or_null("for all prompt sets"),
    "parts": any_value(),
    "weights": any_value(),
    "leave_out": text(NAME).or_null("for no part"),
    "test_parts": texts(NAME),
    "name": text(NAME).or_null("for the choice's name"),
    "sha256": Limit(_hash_fault).or_null("for any data"),
}
