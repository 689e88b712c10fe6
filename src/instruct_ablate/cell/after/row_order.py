"""Whether imported predictions are of the rows that their ids name, as far as their prompts tell.

An id that was made of a row's place (`name-3`, and `a#2` where the data repeat one) names another row once the data
lie in another order. The predictions would be scored against other rows' references.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from instruct_ablate.cell.after.prediction_file import Answer
from instruct_ablate.tasks.task import Instance, Task

Key = tuple[str, str]
_NUMBER = re.compile(r"#\d+$")  # as `tasks.intake.ids` puts it behind an id that another row has


def misplaced(answers: Mapping[Key, Answer], known: Mapping[Key, tuple[Task, Instance]]) -> list[Key]:
    """Return the answers whose prompt holds the input of another row of the task, and not their own row's.

    A row whose input stands in its own prompt is not that other one: it may be an example that all prompts show.
    Without prompts nothing is known.
    """
    prompts = {key: _plain(answer.prompt) for key, answer in answers.items()}
    lacking: dict[str, dict[Key, str]] = {}  # by task: inputs that are not in the prompt of their own id
    for key, (task, instance) in known.items():
        text = _plain(instance.input)
        if text and text not in prompts.get(key, ""):
            lacking.setdefault(task.name, {})[key] = text
    return [
        key
        for own in lacking.values()
        for key in own
        if (prompt := prompts.get(key)) and any(text in prompt for text in own.values())
    ]


def by_order_alone(answers: Mapping[Key, Answer], known: Mapping[Key, tuple[Task, Instance]]) -> list[Key]:
    """Return the rows, of those whose id the data repeat, that order alone tells from others with other references."""
    found = []
    for (task, name), (_, instance) in known.items():
        first = known.get((task, _NUMBER.sub("", name)))
        other = first is not None and first[1].references != instance.references
        if other and (task, name) in answers and not answers[task, name].prompt:
            found.append((task, name))
    return found


def _plain(text: str) -> str:
    return " ".join(text.split())
