"""Which tasks of a collection are kept: by language and category, and a spread of test tasks."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from instruct_ablate.errors import UserError, UserErrors, meant
from instruct_ablate.plural import counted
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.sampling import few_shot
from instruct_ablate.tasks.store import Stored
from instruct_ablate.tasks.task import Task

SUBSETS = ("exactly_labelled",)  # of test_subsets.yaml
# In notes of `select`, and of the reader of P3 on data sets of T0's that are not there.
_UNMET = re.compile(r"\btasks\.(parts\.[\w-]+\.)?((test_tasks|test_subset)=|root: \d+ of T0's )")
NEAR = (
    0.8  # how alike a pattern and a task's name are for that to be meant: names of a collection begin alike
)
BY_SIDE = frozenset({"train_categories", "train_include", "test_categories", "test_include"})


def check(config: TasksConfig) -> None:
    """Refuse numbers of test tasks or instances below one."""
    faults = []
    if config.test_tasks is not None and config.test_tasks < 1:
        faults.append(f"tasks.test_tasks={config.test_tasks}: give 1 or more, or null for all.")
    if config.test_instances is not None and config.test_instances < 1:
        faults.append(f"tasks.test_instances={config.test_instances}: give 1 or more.")
    faults += few_shot.faults(config)
    if faults:
        raise UserErrors(faults)


def select(stored: Sequence[Stored], config: TasksConfig) -> tuple[tuple[Stored, ...], tuple[str, ...]]:
    """Return the tasks kept, in their order, and notes on what was left out."""
    notes: list[str] = []
    kept = [item for item in stored if _speaks(item, config.language)]
    if len(kept) < len(stored):
        notes.append(
            f"tasks.language={config.language}: {counted(len(stored) - len(kept), 'task')} in other languages left out"
        )
    filters = _filters(config, kept)
    kept = [item for item in kept if all(one.keeps(item) for one in filters)]
    if config.test_subset is not None:
        kept = _of_subset(kept, config.test_subset, notes)
    test = [item for item in kept if item.parsed.test]
    if not test:
        raise UserError(f"no test task is left: {_why_none(config, stored, kept)}")
    if config.test_tasks is not None:
        if config.test_tasks > len(test):
            notes.append(
                f"tasks.test_tasks={config.test_tasks}: the collection has "
                f"{counted(len(test), 'test task')}; all are used"
            )
        names = spread([item.parsed.task for item in test], config.test_tasks)
        kept = [item for item in kept if not item.parsed.test or item.parsed.task.name in names]
    if few_shot.asked(config):
        return tuple(item for item in kept if item.parsed.test), tuple(notes)
    if all(item.parsed.test for item in kept):
        notes.append("no training task is left: only untuned models and baselines can be evaluated")
    return tuple(kept), tuple(notes)


def unmet_numbers(notes: Sequence[str]) -> list[str]:
    """Return what a collection notes of test tasks that are asked for and not there; of a mixture's parts, too."""
    return [note for note in notes if _UNMET.search(note)]


def test_subset(name: str) -> frozenset[str]:
    """Return the names of a subset of the official test tasks."""
    import yaml

    given = yaml.safe_load((Path(__file__).parent / "test_subsets.yaml").read_text(encoding="utf-8"))
    return frozenset(given[name])


def _of_subset(kept: Sequence[Stored], name: str, notes: list[str]) -> list[Stored]:
    """Leave out test tasks that are not of a subset; those of it that are not there are noted."""
    wanted = test_subset(name)
    there = {item.parsed.task.name for item in kept if item.parsed.test}
    if missing := sorted(wanted - there):
        notes.append(
            f"tasks.test_subset={name}: {len(missing)} of {len(wanted)} tasks are not there: {missing[0]}, ..."
        )
    return [item for item in kept if not item.parsed.test or item.parsed.task.name in wanted]


def spread(tasks: Sequence[Task], count: int) -> frozenset[str]:
    """Choose tasks by turns from every category, so that few of them still stand for all.

    Order within a category, and of the categories, is that of a hash: the same everywhere, and a smaller
    choice is contained in a larger one.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted((task.name for task in tasks), key=_shuffled):
        groups.setdefault(next(task.category for task in tasks if task.name == name), []).append(name)
    queues = [groups[category] for category in sorted(groups, key=_shuffled)]
    turns = [(turn, at, name) for at, queue in enumerate(queues) for turn, name in enumerate(queue)]
    return frozenset(name for _, _, name in sorted(turns)[:count])


def _shuffled(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


def _speaks(item: Stored, language: str | None) -> bool:
    """Tell whether input, output and instruction are in the language; a task that does not say passes."""
    return language is None or all(language in names for names in item.parsed.languages if names)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name fits one of some globs; all do where there are none."""
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class _Filter:
    """Which tasks of some sides (of training, of testing, or of both) are kept; empty: all."""

    key: str
    wanted: Sequence[str]
    sides: tuple[bool, ...]
    by_category: bool

    def keeps(self, item: Stored) -> bool:
        """Tell whether a task is on another side, or is wanted."""
        if not self.wanted or item.parsed.test not in self.sides:
            return True
        task = item.parsed.task
        if self.by_category:
            return task.category in self.wanted
        return matches(task.name, self.wanted)


def _filters(config: TasksConfig, there: Sequence[Stored]) -> list[_Filter]:
    """Return the filters that are set, for both sides or one; a word that fits nothing is refused.

    `tasks.include` is not among them: readers apply it to what they find, before they read it.
    """
    both, train, test = (False, True), (False,), (True,)
    filters = [
        _Filter("tasks.categories", config.categories, both, True),
        _Filter("tasks.train_categories", config.train_categories, train, True),
        _Filter("tasks.test_categories", config.test_categories, test, True),
        _Filter("tasks.train_include", config.train_include, train, False),
        _Filter("tasks.test_include", config.test_include, test, False),
    ]
    faults = [fault for one in filters for fault in _unmet(one, there)]
    if faults:
        raise UserErrors(faults)
    return filters


def _unmet(given: _Filter, there: Sequence[Stored]) -> list[str]:
    tasks = [item.parsed.task for item in there if item.parsed.test in given.sides]
    if given.by_category:
        known = sorted({task.category for task in tasks})
        return [
            f"{given.key}: unknown category {name!r}{meant(name, known)}"
            for name in given.wanted
            if name not in known
        ]
    names = [task.name for task in tasks]
    side = "training" if given.sides == (False,) else "test"
    return unmatched(given.key, given.wanted, names, f"{side} task")


def unmatched(key: str, patterns: Sequence[str], names: Sequence[str], what: str) -> list[str]:
    """Return a sentence for each pattern of a key that fits none of the names; `what` says whose names they are."""
    return [
        f"{key}: the pattern {pattern!r} matches no {what}{nearly(pattern, names)}"
        for pattern in patterns
        if not any(fnmatchcase(name, pattern) for name in names)
    ]


def nearly(pattern: str, names: Sequence[str]) -> str:
    """Return "; did you mean 'x'?" for the name that a pattern nearly fits, or nothing.

    What stands before closing wildcards is held against as much of a name. Another number is another task.
    """
    fixed = pattern.rstrip("*")
    length = None if fixed == pattern else len(fixed)
    heads = {name[:length]: name for name in reversed(names) if _numbers(fixed) <= _numbers(name)}
    close = fixed and difflib.get_close_matches(fixed, heads, n=1, cutoff=NEAR)
    return f"; did you mean {heads[close[0]]!r}?" if close else ""


def _numbers(text: str) -> set[int]:
    return set(map(int, re.findall("[0-9]{1,9}", text)))


def unincluded(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return a sentence for each pattern of `tasks.include` that fits no task of a collection; for every reader."""
    return unmatched("tasks.include", patterns, names, "task")


def _why_none(config: TasksConfig, stored: Sequence[Stored], kept: Sequence[Stored]) -> str:
    """Name what left test tasks out, and only that: a filter that left nothing out is no advice."""
    words = ["categories", "include", "test_categories", "test_include", "test_subset"]
    if any(not _speaks(item, config.language) for item in stored):
        words.insert(0, "language")
    if said := ", ".join(f"tasks.{word}={vars(config)[word]}" for word in words if vars(config)[word]):
        return f"{said}. Widen them: nothing could be evaluated."
    trained = f"{counted(len(kept), 'task')} to train on" if kept else "nothing"
    return f"the data hold {trained}, and nothing to test. Say what is tested, by tasks.test_split or tasks.split."
