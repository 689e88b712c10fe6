"""Rounds: a grid run seed by seed, with a look after each from the second on, until its hypotheses are decided.

The first round has all that has no seed and every setting under two seeds; each further one adds a seed to all of
them. A look is taken when all cells of its round are done, and is taken once: a sweep that is started again reads it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from instruct_ablate.cell.run.settings import UNTIL
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.setting.counterpart import within
from instruct_ablate.cell.state.setting.unordered import has_lists
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.errors import UserError
from instruct_ablate.grid.claims import Sides, unscored, without_data
from instruct_ablate.grid.declaration import changing
from instruct_ablate.grid.history.looks import (
    CHAIN,
    MOST_SEEDS,
    SHORT,
    Decision,
    Look,
    check_frozen,
    check_same,
    found,
    read_looks,
    saved,
    size,
    standing_decisions,
)
from instruct_ablate.grid.planned_cell import Cell, study_folder
from instruct_ablate.process.processes import process_count

log = logging.getLogger(__name__)
DECIDED = UNTIL[1]
LEAST_SEEDS = 5
FIRST = 2  # seeds at the first look
Run = Callable[[Sequence[Cell]], None]


class Judge(Sides, Protocol):
    """Answers hypotheses from what is on disk; it stands above the grid."""

    def check(self, planned: Sequence[Identity], hypotheses: Sequence[str], reference: str) -> None:
        """Refuse hypotheses that the planned cells can not answer."""

    def decide(self, folder: Path, look: Look) -> tuple[Decision, ...]:
        """Answer a look's hypotheses from the cells that it has."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """A study's cells by round, and what its looks plan."""

    folder: Path
    rounds: tuple[tuple[Cell, ...], ...]
    plan: Look

    def upto(self, place: int) -> list[Cell]:
        """Return the cells of the rounds up to one."""
        return [cell for own in self.rounds[: place + 1] for cell in own]


def wanted(cells: Sequence[Cell]) -> bool:
    """Whether a sweep is to stop when it is decided; `UserError` where only some of its cells say so."""
    kinds = {cell.config.until for cell in cells}
    if len(kinds) > 1:
        raise UserError("until: one value for all cells of a sweep")
    return kinds == {DECIDED}


def rounds_of(cells: Sequence[Cell], judge: Judge) -> Rounds:
    """Divide a grid into rounds; `UserError` where it cannot be looked at."""
    config = cells[0].config
    if process_count() > 1:
        raise UserError("until=decided looks from one process: leave out torchrun or srun")
    if config.detach:
        raise UserError("until=decided waits for every round: leave out detach=true")
    if len({study_folder(cell.config) for cell in cells}) > 1:
        raise UserError("until=decided: one study a sweep")
    claims = {(tuple(cell.config.hypotheses), cell.config.reference) for cell in cells}
    if len(claims) > 1 or not config.hypotheses:
        raise UserError(
            "until=decided needs hypotheses, the same for all cells: hypotheses=['A equals B on M within 2']"
        )
    seeds = _seeds(cells)
    judge.check([cell.identity for cell in cells], config.hypotheses, config.reference)
    for fault in unscored(cells, config.hypotheses):  # a look would have no data, and leave them so for good
        raise UserError(f"until=decided: {fault}")
    plan = Look(
        seeds=seeds,
        done=0,
        hypotheses=tuple(dict.fromkeys(config.hypotheses)),
        reference=config.reference,
        # Sorted, so that cells that are asked for in another order are no other plan.
        grid=tuple(sorted(cell.identity.hash[:SHORT] for cell in cells)),
        cells=0,
    )
    rounds = Rounds(study_folder(config), tuple(_divided(cells, seeds)), plan)
    check_same(rounds.folder, plan, any(has_lists(cell.identity.counted) for cell in cells))
    return rounds


def planned_rounds(cells: Sequence[Cell], judge: Judge) -> list[str]:
    """Refuse what a sweep of these cells would for the sake of looks, and say in which rounds it would run.

    Of a grid that runs whole: which hypotheses it leaves without data.
    """
    if not wanted(cells):
        for cell in cells:
            config = cell.config
            check_frozen(study_folder(config), [cell.identity.hash], config.hypotheses, config.reference)
        return list(without_data(cells, lambda: judge))
    first, *further = (len(own) for own in rounds_of(cells, judge).rounds)
    each = f"then {' + '.join(map(str, further))}"
    return [f"until=decided: a round of {first} cells, {each}, which looks may find needless"]


def _seeds(cells: Sequence[Cell]) -> tuple[int, ...]:
    """Return the seeds that every trained setting has."""
    by_setting: dict[object, set[int]] = {}
    for cell in cells:
        if not cell.identity.setting.untuned:
            by_setting.setdefault(cell.identity.setting, set()).add(cell.identity.seed)
    sets = {frozenset(seeds) for seeds in by_setting.values()}
    least = min(map(len, sets), default=0)
    if least < LEAST_SEEDS:
        raise UserError(
            f"until=decided needs at least {LEAST_SEEDS} seeds a setting, {least} given: seed=0,1,2,3,4"
        )
    if max(map(len, sets)) > MOST_SEEDS:
        raise UserError(
            f"until=decided plans at most {MOST_SEEDS} seeds a setting, {max(map(len, sets))} given"
        )
    if len(sets) > 1:
        raise UserError("until=decided needs the same seeds for every setting")
    # A set has an order of its own, by which the same seeds would be another plan to the next command.
    return tuple(sorted(sets.pop()))


def _divided(cells: Sequence[Cell], seeds: Sequence[int]) -> Iterator[tuple[Cell, ...]]:
    left = list(cells)
    for number in range(FIRST, len(seeds) + 1):
        those = [within(cell.identity.setting, cell.identity.seed, seeds, number) for cell in left]
        yield tuple(cell for cell, own in zip(left, those, strict=True) if own)
        left = [cell for cell, own in zip(left, those, strict=True) if not own]


def run_rounds(rounds: Rounds, judge: Judge, run: Run) -> list[Cell]:
    """Run round after round until all is decided, and return the cells that it took."""
    for place in range(len(rounds.rounds)):
        so_far = rounds.upto(place)
        run(rounds.rounds[place])
        if open_ := sum(not _done(cell) for cell in so_far):
            log.warning(
                "no look was taken: %d of %d cells of the rounds so far are not done", open_, len(so_far)
            )
            return so_far
        look = _look(rounds, place, judge)
        those = [*_before(rounds, look.done), look]
        for one in look.decisions:
            log.info("look at %s: %s: %s", size(look), found(those, one), one.hypothesis)
        if look.settled or place == len(rounds.rounds) - 1:
            log.info("%s", saved(look, sum(map(_done, rounds.upto(len(rounds.rounds))))))
            return so_far
    return []


def _done(cell: Cell) -> bool:
    record = read_record(cell.folder, cell.identity.hash)
    return record is not None and record.state == "done"


def _look(rounds: Rounds, place: int, judge: Judge) -> Look:
    """Return the look after a round: the recorded one, else one that is taken and recorded now.

    What an earlier look has settled stands: the report goes by it, whatever further seeds say.
    """
    if (recorded := _recorded(rounds, place + FIRST)) is not None:
        return recorded
    look = replace(rounds.plan, done=place + FIRST, cells=len(rounds.upto(place)))
    stands = standing_decisions(_before(rounds, look.done))
    own = judge.decide(rounds.folder, look)
    look = replace(look, decisions=tuple(stands.get(one.hypothesis, one) for one in own))
    with changing(rounds.folder):  # two sweeps may have come to one look
        return _recorded(rounds, look.done) or CHAIN.add(rounds.folder, look)


def _before(rounds: Rounds, done: int) -> list[Look]:
    return [look for look in read_looks(rounds.folder).taken if look.done < done]


def _recorded(rounds: Rounds, done: int) -> Look | None:
    those = (one for one in read_looks(rounds.folder).taken if one.plan == rounds.plan.plan)
    return next((one for one in those if one.done == done), None)
