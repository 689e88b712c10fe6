"""Families of questions that begin alike: their common tokens are read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from instruct_ablate.model.decoding.layers.batch import Batch, Row
from instruct_ablate.model.decoding.question import Question

SHORTEST = 8  # a shared prefix of fewer tokens is not worth a pass of its own
DEPTH = 16  # how often a family is split further

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """Questions (their places) that share their first `shared` tokens; none where that is 0."""

    shared: int
    members: tuple[int, ...]


def families(questions: Sequence[Question]) -> list[Family]:
    """Return families of each task's questions such that few tokens are read in all.

    A task's questions share definition and examples; those that lost examples for want of room share less
    and make a family of their own. Exact for any template: token ids are compared.
    """
    places = sorted(range(len(questions)), key=lambda place: (questions[place].task, questions[place].ids))
    grouped: list[Family] = []
    for _, same in groupby(places, key=lambda place: questions[place].task):
        members = tuple(same)
        grouped += _split([questions[place].ids for place in members], members, DEPTH)[1]
    return grouped


def _split(ids: Sequence[Ids], members: tuple[int, ...], depth: int) -> tuple[int, list[Family]]:
    """Return the tokens to read and the families, for sorted `ids`.

    Each branch below the common tokens either stays in their family or is better off with families of its own.
    """
    common = _common(ids)
    shared = common if common >= SHORTEST else 0
    cost = 0
    staying: list[int] = []
    parts: list[Family] = []
    branches = list(_branches(ids, common)) if depth and len(ids) > 1 else [slice(0, len(ids))]
    for branch in branches:
        stay = sum(len(one) - shared for one in ids[branch])
        # A branch that is all of them would be cut the same way again.
        below = _split(ids[branch], members[branch], depth - 1) if 1 < len(ids[branch]) < len(ids) else None
        if below is not None and below[0] < stay:
            cost, parts = cost + below[0], parts + below[1]
        else:
            cost, staying = cost + stay, [*staying, *members[branch]]
    if not staying:
        return cost, parts
    if len(staying) == 1:  # nothing to share
        return cost + shared, [Family(0, tuple(staying)), *parts]
    return cost + shared, [Family(shared, tuple(staying)), *parts]


def _common(ids: Sequence[Ids]) -> int:
    """Return how many first tokens sorted sequences share, leaving each at least one of its own."""
    first, last = ids[0], ids[-1]
    longest = min(map(len, ids)) - 1
    return next((place for place in range(longest) if first[place] != last[place]), longest)


def _branches(ids: Sequence[Ids], common: int) -> Iterator[slice]:
    """Cut sorted sequences where the token after the common ones changes."""
    start = 0
    for place in range(1, len(ids) + 1):
        if place == len(ids) or ids[place][common] != ids[start][common]:
            yield slice(start, place)
            start = place


def batches(
    questions: Sequence[Question], grouped: Sequence[Family], tokens: int
) -> Iterator[tuple[Batch, list[int]]]:
    """Yield batches of about `tokens` tokens read at once, each with its rows' places among the questions.

    Which questions share a batch follows from all of them, so it is the same when a cell is resumed. Families
    are cut where they are too large, shorter questions first; their prefix is then read once per batch.
    """
    prefixes: list[Ids] = []
    rows: list[tuple[Row, int]] = []
    size = longest = 0
    for family in grouped:
        opened = False
        for place in sorted(family.members, key=lambda member: (len(questions[member].ids), member)):
            row = Row(questions[place].ids[family.shared :], None, questions[place].tree)
            length = len(row.tokens) + row.nodes
            # In the cache rows are filled up to the longest: places have a bound, too, of twice the tokens.
            if rows and (size + length > tokens or max(longest, length) * (len(rows) + 1) > 2 * tokens):
                yield _batch(prefixes, rows)
                prefixes, rows, size, longest, opened = [], [], 0, 0, False
            if family.shared and not opened:
                prefixes.append(questions[place].ids[: family.shared])
                size, opened = size + family.shared, True
            rows.append((replace(row, prefix=len(prefixes) - 1) if family.shared else row, place))
            size, longest = size + length, max(longest, length)
    if rows:
        yield _batch(prefixes, rows)


def _batch(prefixes: Sequence[Ids], rows: Sequence[tuple[Row, int]]) -> tuple[Batch, list[int]]:
    return Batch(tuple(prefixes), tuple(row for row, _ in rows)), [place for _, place in rows]
