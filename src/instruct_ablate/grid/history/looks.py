"""Looks at a study that stops when it is decided: what was planned, and what each look found of every hypothesis.

`looks.jsonl` holds a line a look. From the first one on hypotheses, reference and the largest grid are what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.errors import UserError
from instruct_ablate.grid.history.chain import Chain, Entry
from instruct_ablate.plural import are, counted

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
        """All that no later look may change; in which order hypotheses are written is none of it."""
        return self.seeds, tuple(sorted(self.hypotheses)), self.reference, self.grid

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


def standing_decisions(taken: Sequence[Look]) -> dict[str, Decision]:
    """Return by hypothesis what the first look that settled it found: no later one changes that."""
    found: dict[str, Decision] = {}
    for look in taken:
        for one in look.decisions:
            if one.settled:
                found.setdefault(one.hypothesis, one)
    return found


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
    changed += [f"{beyond} of {counted(len(cells), 'cell')} {are(beyond)} not of its grid"] if beyond else []
    if changed:
        raise _frozen(folder, first, changed[0])


def check_unlooked(folder: Path) -> None:
    """Refuse cells from elsewhere in a study that has been looked at: they are not of its grid."""
    if taken := read_looks(folder).taken:
        raise UserError(
            f"study={folder.name} has been looked at (until=decided, {taken[0].date}), and its grid is frozen: "
            f"the same command with study={folder.name}_imported takes these predictions in beside it"
        )


def check_same(folder: Path, look: Look, lists: bool = False) -> None:
    """Refuse to go on looking under another plan than the first look's.

    `lists`: cells have lists of names, whose order counts in what a grid is frozen by.
    """
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
        both = len(set(first.grid) & set(look.grid))
        why = f"its grid was {counted(len(first.grid), 'cell')}, {both} of them in this one"
        why += (
            " (lists of names, tasks.include and the like, are written in the order of then)" if lists else ""
        )
    raise _frozen(folder, first, why)


def _frozen(folder: Path, first: Look, why: str) -> UserError:
    return UserError(
        f"study={folder.name} has been looked at (until=decided, {first.date}): {why}. Hypotheses, reference and "
        "grid are frozen from the first look on; ask for what was planned, or name another study=NAME"
    )


def look_lines(looks: Looks, done: Iterable[str] = ()) -> Iterator[str]:
    """Yield a line a look, oldest first, and what was saved; `done` are the identities of what is done by now."""
    for number, look in enumerate(looks.taken, 1):
        said = "; ".join(f"{found(looks.taken[:number], one)}: {one.hypothesis!r}" for one in look.decisions)
        yield f"look {number}: {size(look)} ({look.date}, {look.hash[:8]}): {said}"
    if looks.taken:
        yield saved(looks.taken[-1], sum(map(looks.taken[-1].has, done)))
    yield from (f"unreadable: {fault}" for fault in looks.faults)


def size(look: Look) -> str:
    """Say how much a look had."""
    return f"{look.done} of {counted(len(look.seeds), 'seed')}, {look.cells} of {counted(len(look.grid), 'cell')}"


def found(taken: Sequence[Look], one: Decision) -> str:
    """Say what the last of some looks found of a hypothesis, and since which look it is settled, if an earlier one."""
    said = one.answer if one.settled else f"{one.answer}, open"
    for number, look in enumerate(taken[:-1], 1):
        if (stands := decision_of(look, one.hypothesis)) is not None and stands.settled:
            since = f"{stands.answer} since look {number}"
            return since if one == stands else f"{said} ({since})"
    return said


def saved(last: Look, done: int) -> str:
    """Say what the last look leaves of the grid, of which so many cells are done by now."""
    done = max(done, last.cells)
    if not last.settled and last.done < len(last.seeds):
        still = len(last.grid) - done
        return f"not decided yet: {counted(still, 'cell')} of the plan {are(still)} left"
    if last.cells == len(last.grid):
        return "the whole grid was run"
    left = len(last.grid) - done
    share = f"{left} of {counted(len(last.grid), 'cell')} saved ({100 * left / len(last.grid):.0f} %)"
    beyond = f", {done - last.cells} done beyond what it took" if done > last.cells else ""
    return f"stopped, for every hypothesis is settled: {share}{beyond}"
