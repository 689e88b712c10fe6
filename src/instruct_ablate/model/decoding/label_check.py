"""Labels as a tokenizer writes them: what makes them unfit to decide between, found before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.limits import shown
from instruct_ablate.tasks.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def check_labels(tasks: Sequence[Task], tokenizer: PreTrainedTokenizerBase, limit: int) -> list[str]:
    """Return the faults that bar constrained decoding or ranking, each naming its task, each once.

    `limit` is `prompt.max_target_length`, to which decoding cuts labels as it cuts all targets.
    """
    encoding = Encoding(tokenizer, encoder_decoder=True)
    return list(
        dict.fromkeys(f"{task.name}: {fault}" for task in tasks for fault in _of_task(task, encoding, limit))
    )


def _of_task(task: Task, encoding: Encoding, limit: int) -> Iterator[str]:
    """Look at every list of labels that the task's instances choose from, each once."""
    lists = dict.fromkeys(
        (*([task.label_space] if task.label_space else []), *(c for _, c in task.answer_choices))
    )
    for choices in lists:
        yield from _faults(choices, encoding, limit)


def _faults(choices: Sequence[str], encoding: Encoding, limit: int) -> Iterator[str]:
    """Say what is wrong with one list of labels."""
    first: dict[tuple[int, ...], str] = {}
    for choice, ids, cut in zip(choices, *encoding.targets(choices, limit), strict=True):
        tokens = tuple(ids[:-1])  # the last one ends the target
        if cut:
            yield (
                f"the label {shown(choice)} is longer than prompt.max_target_length={limit} tokens, its end included, "
                "and would be cut: raise that limit"
            )
        elif not tokens:
            yield f"the label {choice!r} becomes no token at all: rename it (tasks.label_spaces; P3: answer_choices)"
        elif first.setdefault(tokens, choice) != choice:
            yield (
                f"the labels {first[tokens]!r} and {choice!r} are the same tokens to this model's tokenizer, so that "
                "it cannot choose between them: rename one (tasks.label_spaces; P3: answer_choices)"
            )
