"""Looks at a study that stops when it is decided: what was planned, and what each look found of every hypothesis.

`looks.jsonl` holds a line a look. From the first one on hypotheses, reference and the largest grid are what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.errors import UserError
from instruct_ablate.grid.chain import Chain, Entry

LOOKS = "looks.jsonl"
SHORT = 16  # characters of an identity that are written
MOST_SEEDS = 40  # that looks can be planned for: the law of their tests is worked out look by look


@dataclass(frozen=True, slots=True)
class Decision:
    """What a look found of a hypothesis; `settled`: further seeds were too unlikely to change it."""

    hypothesis: str
    answer: str
    settled: bool


@dataclass(frozen=True, slots=True)
class Look(Entry):
    """One look: the plan, how many of its seeds there were, and what they said."""

    seeds: tuple[int, ...]  # all that are planned, in their order
    done: int  # how many of them this look has
    hypotheses: tuple[str, ...]
    reference: str
    grid: tuple[str, ...]  # the largest: every cell's identity, cut short
    cells: int  # of the grid, done by then
    decisions: tuple[Decision, ...] = ()

    @property
    def plan(self) -> tuple[object, ...]:
        """All that no later look may change."""
        return self.seeds, self.hypotheses, self.reference, self.grid

    @property
    def settled(self) -> bool:
        """Whether every hypothesis is."""
        settled = {decision.hypothesis for decision in self.decisions if decision.settled}
        return settled >= set(self.hypotheses)

    @property
    def possible(self) -> bool:
        """Whether there can be such a look."""
        return 0 < self.done <= len(self.seeds) <= MOST_SEEDS

    def has(self, identity: str) -> bool:
        """Whether a cell is of the grid."""
        return identity[:SHORT] in self.grid


CHAIN = Chain(LOOKS, Look, "look")


@dataclass(frozen=True, slots=True)
class Looks:
    """A study's looks in order, and what of the file cannot be read."""

    taken: tuple[Look, ...] = ()
    faults: tuple[str, ...] = ()

    def deciding(self, hypothesis: str) -> Look | None:
        """Return the look at which a hypothesis was settled, else the last one that had it; None without any."""
        those = [look for look in self.taken if hypothesis in look.hypotheses]
        settled = (look for look in those if (one := decision_of(look, hypothesis)) and one.settled)
        return next(settled, those[-1] if those else None)


def decision_of(look: Look, hypothesis: str) -> Decision | None:
    """Return what a look says of a hypothesis."""
    return next((one for one in look.decisions if one.hypothesis == hypothesis), None)


def read_looks(folder: Path) -> Looks:
    """Read a study's looks; those that do not continue the first one's plan are said to be damaged."""
    taken, faults = CHAIN.read(folder)
    sound = tuple(look for look in taken if look.plan == taken[0].plan and look.possible)
    more = [f"{LOOKS}: a look of another plan"] if len(sound) < len(taken) else []
    return Looks(sound, (*faults, *more))


def check_frozen(folder: Path, cells: Sequence[str], hypotheses: Sequence[str], reference: str) -> None:
    """Refuse cells and claims beyond what a study was first looked at for."""
    taken = read_looks(folder).taken
    if not taken:
        return
    first = taken[0]
    changed = [f"hypothesis {text!r} is new" for text in hypotheses if text not in first.hypotheses]
    changed += [f"reference={reference} was {first.reference}"] if reference != first.reference else []
    beyond = sum(not first.has(cell) for cell in cells)
    changed += [f"{beyond} of {len(cells)} cells are not of its grid"] if beyond else []
    if changed:
        raise _frozen(folder, first, changed[0])


def check_unlooked(folder: Path) -> None:
    """Refuse cells from elsewhere in a study that has been looked at: they are not of its grid."""
    if taken := read_looks(folder).taken:
        raise UserError(
            f"study={folder.name} has been looked at (until=decided, {taken[0].date}), and its grid is frozen: "
            f"the same command with study={folder.name}_imported takes these predictions in beside it"
        )


def check_same(folder: Path, look: Look) -> None:
    """Refuse to go on looking under another plan than the first look's."""
    taken = read_looks(folder).taken
    if not taken or taken[0].plan == look.plan:
        return
    first = taken[0]
    if set(first.hypotheses) != set(look.hypotheses):
        why = "its hypotheses were others"
    elif first.reference != look.reference:
        why = f"its reference was {first.reference}"
    elif first.seeds != look.seeds:
        why = f"its seeds were {','.join(map(str, first.seeds))}"
    else:
        why = f"its grid was {len(first.grid)} cells, {len(set(first.grid) & set(look.grid))} of them in this one"
    raise _frozen(folder, first, why)


def _frozen(folder: Path, first: Look, why: str) -> UserError:
    return UserError(
        f"study={folder.name} has been looked at (until=decided, {first.date}): {why}. Hypotheses, reference and "
        "grid are frozen from the first look on; ask for what was planned, or name another study=NAME"
    )


def look_lines(looks: Looks) -> Iterator[str]:
    """Yield a line a look, oldest first, and what was saved."""
    for number, look in enumerate(looks.taken, 1):
        said = "; ".join(_said(one) for one in look.decisions)
        yield f"look {number}: {size(look)} ({look.date}, {look.hash[:8]}): {said}"
    if looks.taken:
        yield saved(looks.taken[-1])
    yield from (f"unreadable: {fault}" for fault in looks.faults)


def size(look: Look) -> str:
    """Say how much a look had."""
    return f"{look.done} of {len(look.seeds)} seeds, {look.cells} of {len(look.grid)} cells"


def _said(one: Decision) -> str:
    return f"{one.answer}{'' if one.settled else ', open'}: {one.hypothesis!r}"


def saved(last: Look) -> str:
    """Say what the last look leaves of the grid."""
    left = len(last.grid) - last.cells
    if not last.settled and last.done < len(last.seeds):
        return f"not decided yet: {left} cells of the plan are left"
    share = 100 * left / len(last.grid)
    if not left:
        return "the whole grid was run"
    return f"stopped, for every hypothesis is settled: {left} of {len(last.grid)} cells saved ({share:.0f} %)"
