"""How the settings of a study are written beside each other: the keys that differ among them, and the texts of those.

A key that follows from another one (the columns of a data set from its name) is left out where it says nothing more.
A name that stands for several contents is written with the revision, and with the end of the path that each was read
from where these tell them apart: `reviews@3f2a (reviews_2024)`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

from instruct_ablate.cell.state.setting.keys import GENERAL, GROUPS, ORDER, of_untuned
from instruct_ablate.cell.state.setting.setting import Setting, Value, plain_value, write_exactly
from instruct_ablate.cell.state.setting.trained_on import TASKS, all_tasks_text, answers_by_itself, trained_on
from instruct_ablate.cell.state.setting.unordered import PARTS
from instruct_ablate.schema import Config

_HASH = re.compile(r"[0-9a-f]{16,64}")
SHARE = "data.altered_share"  # of the examples; what is not altered at all has every share

# Keys that follow from another one, by how they begin. What is neither in its name nor told of all that have it (a
# share altered) is shown all the same: `TOLD`.
FOLLOWING = {
    "tasks": ("tasks.",),
    "model": ("model.",),
    "method": ("method.",),
    "instruction": (
        "instruction.rate",
        "instruction.correct",
        "instruction.versions",
        SHARE,
        "evaluation.instructions",
    ),
}
TOLD = (SHARE,)
# Contents that are told apart behind a name, by the key that has it; other contents have a column.
REVISED = {"tasks": "tasks", "model": "model", "prompt": "prompt", GENERAL: "general"}
COLUMNS = (
    "tasks",
    "instruction",
    "instruction.num_positive",
    "data_budget",
    "data_budget.tasks",
    "model",
    "method",
    "prompt",
    "evaluation.decoding",
)  # the order of those that most studies have; the others follow by name
# In the order of rows what an untuned model shares comes first, then the method, and last budget and variant.
SORTED = ("tasks", "model", "prompt", "evaluation.decoding")
LAST = ("method", "data_budget", "data_budget.tasks", "instruction")
HEADINGS = {
    "data_budget": "budget",
    "data_budget.tasks": "tasks trained on",
    "data_budget.categories": "categories trained on",
    "data_budget.total": "examples in all",
    "data_budget.repeat": "times shown",
    SHARE: "share altered",
    "instruction": "trained on",
    "instruction.num_positive": "examples",
    "evaluation.decoding": "decoding",
}
Rank = tuple[int, float, str]
Name = tuple[Value, tuple[tuple[str, Value], ...]]  # a key's value, and the keys that follow from it


def heading(key: str) -> str:
    """Return a key's heading: its own name, but for the few that tables know by another one."""
    return HEADINGS.get(key, key)


class Legend:
    """What differs among settings, and how it is written."""

    def __init__(self, settings: Iterable[Setting]) -> None:
        self._settings = tuple(dict.fromkeys(settings))
        every = sorted({key for setting in self._settings for key in setting.keys})
        self._values = {key: self._of(key) for key in dict.fromkeys((*COLUMNS, *every)) if key in every}
        self._differing = [key for key, values in self._values.items() if len(set(values.values())) > 1]
        self._contents = {
            key: self._contents_of(key) for key in sorted({k for s in self._settings for k, _ in s.revisions})
        }
        self._sources = self._sources_of_tasks()
        own = [key for key in self._contents if key not in REVISED.values()]
        # Baselines and predictions made elsewhere read no template of one's own: a content that they lack is no change.
        read = [(key, {(s.baseline, s.imported, s.revision(key)) for s in self._settings}) for key in own]
        changed = [key for key, found in read if len(found) > len({kind[:2] for kind in found})]
        named = (key for key, kind in REVISED.items() if key not in self._differing and self._several(kind))
        self.keys = (*(key for key in self._differing if not self._follows(key)), *named, *changed)
        self._doubts: dict[str, frozenset[str]] = {}
        self._texts: dict[tuple[str, int], tuple[Setting, str]] = {}  # by object: 1, 1.0 and true are equal
        self._orders: dict[tuple[str, int], tuple[Setting, tuple[object, ...]]] = {}

    @property
    def shared(self) -> tuple[tuple[str, str], ...]:
        """Return key and text of what is the same in every setting that has it.

        The schema's defaults go without saying, but for what most studies have as axes.
        """
        told = {
            key: tuple(own)
            for key, own in self._values.items()
            if own
            and key not in (*self._differing, *self.keys)
            and (key in COLUMNS or not is_default(key, next(iter(own)).get(key)))
        }
        return tuple((key, _in_words(own, key) or self.text(own[0], key)) for key, own in told.items())

    def columns(self, *always: str) -> tuple[str, ...]:
        """Name the keys that differ, those first that are shown in any case."""
        return (*always, *(key for key in self.keys if key not in always))

    def text(self, setting: Setting, key: str) -> str:
        """Write a setting's value at a key, as a table shows it; "-" where the key means nothing to it."""
        place = key, id(setting)
        if place not in self._texts:
            self._texts[place] = setting, self._text(setting, key)
        return self._texts[place][1]

    def _text(self, setting: Setting, key: str) -> str:
        if key == "instruction":
            return trained_on(setting)
        if key in self._contents and key not in REVISED.values():
            return f"@{content(setting, key)[:4]}" if setting.revision(key) else "-"
        if not _applies(setting, key):
            return "-"
        text = setting.text(key)
        if text in self._doubtful(key):
            text = write_exactly(setting.get(key))
        return text + self._revision(setting, key)

    def _doubtful(self, key: str) -> frozenset[str]:
        """Return the texts that several values of a key have: the word none and null, [a, b] and "a, b"."""
        if key not in self._doubts:
            texts: dict[str, set[Value]] = {"-": {"-"}}  # what tables write where the key means nothing
            for setting, value in self._values.get(key, {}).items():
                if key != "data_budget":  # a number of examples in all has a text of its own
                    texts.setdefault(setting.text(key), set()).add(value)
            told = {text for text, values in texts.items() if len(values) > 1}
            told |= {"-"} if any(value == "-" for value in self._values.get(key, {}).values()) else set()
            self._doubts[key] = frozenset(told)
        return self._doubts[key]

    def place(self, setting: Setting, *without: str, always: Iterable[str] = ()) -> str:
        """Name a setting by all that differs: "original, budget 8, trainer.learning_rate 0.0001"."""
        texts = {key: self.text(setting, key) for key in self.columns(*always) if key not in without}
        named = ("tasks", "model", "method", "instruction")
        parts = [(key, text) for key, text in texts.items() if text != "-"]
        return ", ".join(text if key in named else f"{heading(key)} {text}" for key, text in parts)

    def order(self, setting: Setting, reference: str = "original") -> tuple[object, ...]:
        """Sort as people read: by tasks and model, what was not trained first, the reference before other variants."""
        place = reference, id(setting)
        if place not in self._orders:
            self._orders[place] = setting, self._order(setting, reference)
        return self._orders[place][1]

    def _order(self, setting: Setting, reference: str) -> tuple[object, ...]:
        last = (*LAST, "evaluation.instructions")
        differing = [key for key in self._differing if key not in (*SORTED, *last)]
        shared = [key for key in differing if of_untuned(key)]
        trained = [key for key in differing if not of_untuned(key)]
        ranks = [rank(setting.get(key)) for key in (*SORTED, *shared, *LAST[:1], *trained, *LAST[1:3])]
        variant = setting.instruction not in ("", reference)
        return (*ranks, variant, setting.instruction, setting.tests, setting.revisions)

    def _of(self, key: str) -> dict[Setting, Value]:
        """Return the values at a key, of the settings that it means something to."""
        return {one: one.get(key) for one in self._settings if _applies(one, key)}

    def _follows(self, key: str) -> bool:
        """Whether a key says nothing that the one it follows from does not say."""
        leader = next((name for name, heads in FOLLOWING.items() if key.startswith(heads)), None)
        if leader is None or key in TOLD:
            return False
        values: dict[Value, Value] = {}
        own = self._values[key].items()
        return all(values.setdefault(one.get(leader), value) == value for one, value in own)

    def _contents_of(self, key: str) -> Mapping[Name, frozenset[str]]:
        """Return the contents that stand under a name with all the keys that follow from it."""
        found: dict[Name, frozenset[str]] = {}
        for setting in self._settings:
            if setting.revision(key) and not setting.imported:
                name = _named(setting, key)
                found[name] = found.get(name, frozenset()) | {content(setting, key)}
        homes = {one: _homes(one, key, found) for one in self._settings if one.imported and one.revision(key)}
        for one, names in homes.items():
            for name in names:
                found[name] |= {content(one, key)}
        for one, names in homes.items():
            name = _named(one, key)
            others = (found[home] for home in names)
            found[name] = found.get(name, frozenset()).union({content(one, key)}, *others)
        return found

    def _several(self, key: str) -> bool:
        """Whether a name stands for several contents."""
        return any(len(contents) > 1 for contents in self._contents.get(key, {}).values())

    def _revision(self, setting: Setting, key: str) -> str:
        """Return "@" and as much of the content's hash as tells it from others of the name."""
        kind = REVISED.get(key, key)
        if kind not in self._contents or not setting.revision(kind):
            return ""
        others = self._contents[kind][_named(setting, kind)]
        if len(others) < 2:
            return ""
        letters = next(n for n in range(4, 65) if len({other[:n] for other in others}) == len(others))
        words = _apart({one: self._sources.get(one, "") for one in others}) if kind == "tasks" else {}
        own = content(setting, kind)
        return f"@{own[:letters]}" + (f" ({words[own]})" if own in words else "")

    def _sources_of_tasks(self) -> Mapping[str, str]:
        """Return where the tasks of each content were read from; of several places the first by name."""
        found: dict[str, str] = {}
        for setting in self._settings:
            if setting.source and setting.revision("tasks"):
                own = content(setting, "tasks")
                found[own] = min(found.get(own, setting.source), setting.source)
        return found


_DEFAULTS = {
    GROUPS.get(f"{group}.{key}", f"{group}.{key}"): plain_value(value)
    for group, values in dataclasses.asdict(Config()).items()
    if isinstance(values, dict)
    for key, value in values.items()
}
# The name of the tasks says which reader they have, and the score blocks what was tested.
_NAMED = ("tasks.reader", "evaluation.instructions")


def is_default(key: str, value: Value) -> bool:
    """Whether a value need not be told: the schema's default, or told by another one."""
    return key in _NAMED or (key in _DEFAULTS and _DEFAULTS[key] == value)


def _in_words(settings: Sequence[Setting], key: str) -> str:
    """Write for people what is a hash, a mixture's parts (each as `name: {...}`) or all tasks but some; else ""."""
    if key != PARTS:
        return {ORDER: "as read, not by name", TASKS: all_tasks_text(settings)}.get(key, "")
    parts = settings[0].get(PARTS)
    return ", ".join(part.partition(": ")[0] for part in parts) if isinstance(parts, tuple) and parts else "-"


def content(setting: Setting, key: str) -> str:
    """Return the hash of the content under a name, in hexadecimal."""
    revision = setting.revision(key)
    return revision if _HASH.fullmatch(revision) else hashlib.sha256(revision.encode()).hexdigest()


def _apart(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the shortest ends of paths that tell contents apart; none where they do not, or one is not known."""
    for parts in (1, 2, 3):
        ends = {one: "/".join(source.split("/")[-parts:]) for one, source in sources.items()}
        if all(ends.values()) and len(set(ends.values())) == len(ends):
            return ends
    return {}


def _applies(setting: Setting, key: str) -> bool:
    """Whether a table shows a setting's value at a key; what answered untrained is named as what was trained on."""
    if answers_by_itself(setting) and (key == "method" or (key == "model" and setting.baseline)):
        return setting.imported and not setting.untuned  # as trained here and elsewhere, of one model
    if key == SHARE and setting.instruction == "original":
        return False  # nothing is altered
    without = setting.untuned or setting.get("data_budget.total") is not None
    return key in setting and not (without and key == "data_budget")


def _named(setting: Setting, kind: str) -> Name:
    """Return the name of a content, with what follows from it in cells of all kinds."""
    key = next((key for key, own in REVISED.items() if own == kind), kind)
    following = FOLLOWING.get(key, (f"{key}.",))
    own = (pair for pair in setting.values if pair[0].startswith(following))
    return setting.get(key), tuple(pair for pair in own if key != "tasks" or of_untuned(pair[0]))


def _homes(setting: Setting, kind: str, own: Mapping[Name, frozenset[str]]) -> list[Name]:
    """Return the names, of cells run here, that an imported cell's name stands for; it has no keys that follow.

    Those of its content; where there are none, all with its value, since it is another content of each of them.
    """
    value = _named(setting, kind)[0]
    alike = [(name, contents) for name, contents in own.items() if name[0] == value]
    same = [name for name, contents in alike if content(setting, kind) in contents]
    return same or [name for name, _ in alike]


def rank(value: Value) -> Rank:
    """Sort what is not there first, then numbers by size, then texts."""
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, bool | int | float):
        return 1, float(value), ""
    return 2, 0.0, value if isinstance(value, str) else ", ".join(value)
