"""A setting: everything that a cell's identity counts, less the seed, in readable names.

Whatever groups, pairs, orders, colours, filters or names cells does it by their settings. `setting_from` makes one
from what was hashed; `setting_of_axes` does what can be done for cells of which no more is known than their axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from instruct_ablate.baselines import is_baseline_name
from instruct_ablate.cell.state.setting.data_name import data_name
from instruct_ablate.cell.state.setting.keys import GENERAL, GROUPS, IMPORTED, NEUTRAL, reads
from instruct_ablate.cell.state.setting.unordered import brought_in_order, in_order
from instruct_ablate.tasks.sampling.budget import ALL

Value = str | int | float | bool | None | tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """Readable values by key, and the revisions of what has a name and a content (tasks, model, extensions)."""

    values: tuple[tuple[str, Value], ...] = ()
    revisions: tuple[tuple[str, str], ...] = ()
    tuned: bool = field(
        default=False, compare=False
    )  # a checkpoint that others have fine-tuned, as its file says
    drawn: tuple[str, ...] = field(default=(), compare=False)  # tests whose examples the seed draws
    source: str = field(
        default="", compare=False
    )  # the end of tasks.root; empty: none, or of an early record

    @staticmethod
    def brought_up(fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a setting as of now, also of one written when metrics or the order of lists counted."""
        values = [
            [key, [] if key == "evaluation.metrics" else brought_in_order(key, value)]
            for key, value in fields["values"]
        ]
        reader = dict(values).get("tasks.reader")
        if isinstance(reader, str):  # earlier versions named the group's choice, whoever had read the data
            values = [[key, data_name(value, reader) if key == "tasks" else value] for key, value in values]
        return {**fields, "values": values}

    @cached_property
    def _by_key(self) -> dict[str, Value]:
        return dict(self.values)

    @cached_property
    def _hash(self) -> int:
        return hash((self.values, self.revisions))

    def __hash__(self) -> int:
        """Hash once: settings are keys of most that a report does."""
        return self._hash

    def get(self, key: str) -> Value:
        """Return the value at a key; None where the setting has none."""
        known = key in self._by_key or not self._left_out(key)
        return self._by_key.get(key) if known else plain_value(NEUTRAL[key])

    def __contains__(self, key: str) -> bool:
        """Whether the key means anything to this setting."""
        return key in self._by_key or self._left_out(key)

    def _left_out(self, key: str) -> bool:
        """Whether a key counts for this setting and stands at the value at which it is left out of the hash.

        A setting of which no more than its axes is known says nothing of other keys: it has no reader.
        """
        if key in self._by_key or key not in NEUTRAL or "tasks.reader" not in self._by_key:
            return False
        if key.startswith("method.") and self.get("method") == "full":
            return False  # they say how adapters are
        return reads(key, self.untuned, self.baseline)

    @property
    def keys(self) -> tuple[str, ...]:
        """Name the keys."""
        return tuple(self._by_key)

    def revision(self, key: str) -> str:
        """Return the hash of the content under a name; empty where none is known."""
        return dict(self.revisions).get(key, "")

    def text(self, key: str) -> str:
        """Write the value at a key; "-" where the key means nothing to this setting."""
        if key == "data_budget" and (total := self.get("data_budget.total")) is not None:
            return f"{total} in all"
        return write(self.get(key), key) if key in self else "-"

    def changed(self, **changes: Value) -> Setting:
        """Return the setting with other values; None takes nothing away."""
        values = {**self._by_key, **changes}
        return make_setting(values, dict(self.revisions), self.tuned, self.drawn, self.source)

    @cached_property
    def model(self) -> str:
        """The model's name."""
        return str(self.get("model"))

    @cached_property
    def budget(self) -> int:
        """Training instances per task; 0: nothing was trained here."""
        value = self.get("data_budget")
        return value if isinstance(value, int) else 0

    @cached_property
    def untuned(self) -> bool:
        """Whether nothing was trained here."""
        return self.budget == 0

    @cached_property
    def baseline(self) -> bool:
        """Whether a baseline answered, that needs no model."""
        return is_baseline_name(self.model)

    @property
    def imported(self) -> bool:
        """Whether the predictions were made elsewhere."""
        return self.get("method") == IMPORTED

    @cached_property
    def instruction(self) -> str:
        """The label of the training variant; empty where nothing was trained."""
        return "" if self.untuned else str(self.get("instruction"))

    @property
    def tests(self) -> tuple[str, ...]:
        """The labels of the test-time instructions, as far as they are known."""
        value = self.get("evaluation.instructions")
        if isinstance(value, tuple) and value:
            return value
        return (str(self.get("instruction") or "original"),)


def make_setting(
    values: Mapping[str, Value],
    revisions: Mapping[str, str],
    tuned: bool = False,
    drawn: tuple[str, ...] = (),
    source: str = "",
) -> Setting:
    """Make a setting; the order of its keys does not matter."""
    return Setting(tuple(sorted(values.items())), tuple(sorted(revisions.items())), tuned, drawn, source)


def model_name(given: str) -> str:
    """Return the name that tables show of a model: of a folder or hub id its last part."""
    return given.rstrip("/").rpartition("/")[2] or given


def write(value: Value, key: str = "") -> str:
    """Write a value as a table shows it and a hypothesis names it."""
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if key == "data_budget" and value == ALL:
        return "all"
    if value is None:
        return "all" if key in ("data_budget.tasks", "data_budget.categories") else "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_exactly(value: Value) -> str:
    """Write a value as a configuration has it, for where a table's texts do not tell two values apart."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(repr, value))}]"
    return "null" if value is None else repr(value)


@dataclass(frozen=True, slots=True)
class Names:
    """The readable names of what is hashed by content.

    `tested`: the labels of the test-time instructions; none where an old record does not say. `drawn`: those of them
    whose examples the seed draws. `source`: the end of the path that the tasks are read from.
    """

    tasks: str
    model: str
    instruction: str
    num_positive: int
    tested: tuple[str, ...]
    tuned: bool = False
    general: str = ""  # of the collection by which general ability is held; empty: none
    drawn: tuple[str, ...] = ()
    source: str = ""


def setting_from(counted: Mapping[str, Any], names: Names) -> Setting:
    """Make the setting of a cell from what its identity counts, and the names of it."""
    untuned, baseline = counted["instruction"] is None, is_baseline_name(names.model)
    values: dict[str, Value] = {
        GROUPS.get(key, key): plain_value(value)
        for key, value in in_order(counted).items()
        if "." in key and key != "model.tries"  # the name says it
    }
    values[
        "evaluation.metrics"
    ] = ()  # counted by earlier versions; a cell is the same whatever it is scored by
    values = {key: value for key, value in values.items() if reads(key, untuned, baseline)}
    if not untuned and values["method"] == "full":
        values = {key: value for key, value in values.items() if not key.startswith("method.")}
    shown = counted["instruction"] or counted["tested"][0]
    values |= {
        "tasks": names.tasks,
        "model": model_name(names.model),
        "instruction.num_positive": names.num_positive,
    }
    values |= {f"instruction.{key}": shown[key] for key in ("num_negative", "explanations")}
    if names.general and GENERAL in values:
        values[GENERAL] = names.general
    if names.tested:
        values["evaluation.instructions"] = tuple(sorted(set(names.tested)))
    if not untuned:
        parameters = {"rate": 0.2, "correct": 0.5}  # at these where the variant reads none
        values |= {f"instruction.{k}": shown[k] for k, unread in parameters.items() if shown[k] != unread}
        values["instruction"] = names.instruction
    return make_setting(values, _revisions(counted, baseline), names.tuned, names.drawn, names.source)


def _revisions(counted: Mapping[str, Any], baseline: bool) -> dict[str, str]:
    """Return the contents that were hashed, by what has the name."""
    found = {"tasks": str(counted["data"])}
    if not baseline:
        found["model"] = str(counted["checkpoint"])
    if counted.get("templates"):
        found["prompt"] = str(counted["templates"])
    if counted.get("general"):
        found["general"] = str(counted["general"])
    if own := [*counted["extensions"], *counted.get("own_code", ())]:
        found["extensions"] = "+".join(own)
    for version in ("code", "training", "prediction"):
        if counted.get(version, 1) != 1:
            found[version] = str(counted[version])
    return found


def plain_value(value: Any) -> Value:
    """Turn a value of the configuration into one that can be hashed and compared."""
    if isinstance(value, Mapping):
        return tuple(f"{key}: {item}" for key, item in sorted(value.items()))
    if isinstance(value, list | tuple):
        return tuple(str(item) for item in value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


@dataclass(frozen=True, slots=True)
class Axes:
    """What records of version 1 say of a cell's place; imported identities hash its text, so it stays as it is."""

    tasks: str
    instruction: str
    num_positive: int
    data_budget: int
    budget_tasks: int | None
    model: str
    method: str
    prompt: str
    decoding: str
    seed: int


def setting_of_axes(axes: Axes, data_hash: str = "", tasks: str | None = None) -> Setting:
    """Make what can be made of axes alone: of imported cells, and old ones of which nothing else is left."""
    values: dict[str, Value] = {
        "tasks": tasks or axes.tasks,
        "model": axes.model if axes.method == IMPORTED else model_name(axes.model),
        "instruction.num_positive": axes.num_positive,
        "data_budget": axes.data_budget,
    }
    if axes.data_budget:
        values |= {"instruction": axes.instruction, "data_budget.tasks": axes.budget_tasks}
    if axes.data_budget or axes.method == IMPORTED:
        values["method"] = axes.method
    if axes.method == IMPORTED:
        values["evaluation.instructions"] = (axes.instruction,)
    elif not is_baseline_name(axes.model):
        values |= {"prompt": axes.prompt, "evaluation.decoding": axes.decoding}
    return make_setting(values, {"tasks": data_hash} if data_hash else {})


def completed(setting: Setting, others: Iterable[Setting]) -> Setting:
    """Return the one setting that has all of this one's values and more; itself where none or several do."""
    own, content = set(setting.values), set(setting.revisions)
    fuller = {
        other
        for other in others
        if len(other.values) > len(own) and own <= set(other.values) and content <= set(other.revisions)
    }
    return fuller.pop() if len(fuller) == 1 else setting
