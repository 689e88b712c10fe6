"""What tables say of a setting's training: its variant and its budget, or that nothing was trained here."""

from __future__ import annotations

import re
from collections.abc import Iterable

from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.cell.state.setting.unordered import PARTS
from instruct_ablate.tasks.sampling.budget import ALL

NOT_TRAINED = ("untuned", "as it is")  # what tables call models of which nothing is trained here
TASKS = "data_budget.tasks"
# What leaves training tasks out before a budget does. Defaults are of the collection (its official split), and untold.
_FILTERS = (
    "tasks.include", "tasks.categories", "tasks.train_include", "tasks.train_categories", "tasks.validation",
    "tasks.leave_out", "tasks.mixture",
)  # fmt: skip
_OF_PART = re.compile(
    rf"'({'|'.join(map(re.escape, _FILTERS))})': (?!\[\]|None|0)"
)  # as a setting writes a part


def trained_on(setting: Setting) -> str:
    """Return what tables say of training: a variant, the untuned model, or the name of what was not trained here."""
    if not setting.untuned:
        return setting.instruction
    if answers_by_itself(setting):
        return f"({setting.model})"
    untuned, as_it_is = NOT_TRAINED
    return f"({as_it_is})" if setting.tuned else f"({untuned})"


def answers_by_itself(setting: Setting) -> bool:
    """Whether answers come from a baseline or from elsewhere: no model was asked here, and no prompt of ours shown."""
    return setting.baseline or setting.imported


def all_tasks_text(settings: Iterable[Setting]) -> str:
    """Return what captions say in place of all tasks trained on, where filters leave some out; empty where none do."""
    return (
        "all that filters leave" if any(one.get(TASKS) is None and _filtered(one) for one in settings) else ""
    )


def _filtered(setting: Setting) -> bool:
    parts = setting.get(PARTS)
    of_parts = map(_OF_PART.search, parts) if isinstance(parts, tuple) else ()
    return any(of_parts) or any(setting.get(key) for key in _FILTERS)


def budget_text(setting: Setting) -> str:
    """Return what tables say of the budget: nothing where nothing was trained."""
    return "-" if setting.untuned else setting.text("data_budget")


def budget_on_axis(setting: Setting) -> int | str | None:
    """Return a budget as an axis of instances per task has it; None where it is a number of examples in all."""
    if setting.get("data_budget.total") is not None:
        return None
    return setting.text("data_budget") if setting.budget == ALL else setting.budget


def sorted_budgets(settings: Iterable[Setting]) -> list[int | str | None]:
    """Return the budgets of trained settings as an axis has them, once each: numbers, then "all", then totals."""
    places = {budget_on_axis(one): one.budget for one in settings}
    return sorted(places, key=lambda budget: (places[budget], budget is None))
