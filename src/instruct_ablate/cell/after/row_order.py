"""Whether imported predictions are of the rows that their ids name, as far as their prompts tell.

An id that was made of a row's place (`name-3`, and `a#2` where the data repeat one) names another row once the data
lie in another order. The predictions would be scored against other rows' references.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial

from instruct_ablate.cell.after.prediction_file import Answer
from instruct_ablate.tasks.task import Instance, Task

Key = tuple[str, str]
BEGINNING = 64  # characters by which an input is looked for at most; a power of two
_NUMBER = re.compile(r"#\d+$")  # as `tasks.intake.ids` puts it behind an id that another row has


def misplaced(answers: Mapping[Key, Answer], known: Mapping[Key, tuple[Task, Instance]]) -> list[Key]:
    """Return the answers whose prompt holds the input of another row of the task, and not their own row's.

    A row whose input stands in its own prompt is not that other one: it may be an example that all prompts show.
    Neither is one whose input is a part of the answer's own, which may have been cut or written otherwise, nor one
    whose input prompts of their own rows hold, as a word of the definition. Without prompts nothing is known.
    """
    prompts = {key: _plain(answer.prompt) for key, answer in answers.items()}
    lacking: dict[str, dict[Key, str]] = {}  # by task: inputs that are not in the prompt of their own id
    right: dict[str, list[str]] = {}  # by task: prompts that hold the input of their own id
    for key, (task, instance) in known.items():
        text, prompt = _plain(instance.input), prompts.get(key, "")
        if text and text not in prompt:
            lacking.setdefault(task.name, {})[key] = text
        elif text:
            right.setdefault(task.name, []).append(prompt)
    found = []
    for name, own in lacking.items():
        beginnings, usual = _by_beginning(own.values()), cache(partial(_in_any, right.get(name, ())))
        for key, text in own.items():
            there = _standing(prompts.get(key, ""), beginnings)
            if any(other not in text and not usual(other) for other in there):
                found.append(key)
    return found


def _in_any(prompts: Sequence[str], text: str) -> bool:
    return any(text in prompt for prompt in prompts)


def _by_beginning(texts: Iterable[str]) -> dict[int, dict[str, list[str]]]:
    """Return texts by how they begin, and by how many of their first characters that is: few different numbers."""
    found: dict[int, dict[str, list[str]]] = {}
    for text in dict.fromkeys(texts):
        size = 2 ** (min(len(text), BEGINNING).bit_length() - 1)
        found.setdefault(size, {}).setdefault(text[:size], []).append(text)
    return found


def _standing(prompt: str, beginnings: Mapping[int, Mapping[str, Sequence[str]]]) -> Iterator[str]:
    """Yield which of the texts stand in a prompt; a task may have thousands of each, too many to try them all."""
    for size, texts in beginnings.items():
        for place in range(len(prompt) - size + 1):
            begun = texts.get(prompt[place : place + size], ())
            yield from (text for text in begun if prompt.startswith(text, place))


def by_order_alone(answers: Mapping[Key, Answer], known: Mapping[Key, tuple[Task, Instance]]) -> list[Key]:
    """Return the rows, of those whose id the data repeat, that order alone tells from others with other references.

    So it does where there is no prompt, and where the prompt would be the same, for the input is.
    """
    found = []
    for (task, name), (_, instance) in known.items():
        first = known.get((task, _NUMBER.sub("", name)))
        answer = answers.get((task, name))
        if first is None or answer is None or first[1].references == instance.references:
            continue
        if not answer.prompt or _plain(first[1].input) == _plain(instance.input):
            found.append((task, name))
    return found


def _plain(text: str) -> str:
    return " ".join(text.split())
