"""Labels and references as a tokenizer writes them: what no decoding could answer or decide between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from instruct_ablate.constraints import constraints_of
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.limits import shown
from instruct_ablate.prompt.lengths import long_references_note
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.tasks.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def may_be_cut(text: str, limit: int) -> bool:
    """Whether a text may have more than `limit` tokens, its end included: no tokenizer makes more than it has bytes."""
    return len(text.encode(errors="surrogatepass")) + 2 > limit


def may_cut_labels(tasks: Sequence[Task], limit: int) -> bool:
    """Whether a tokenizer must be asked for `cut_labels`."""
    return any(
        may_be_cut(label, limit) for task in tasks for choices in _label_lists(task) for label in choices
    )


def cut_labels(tasks: Sequence[Task], tokenizer: PreTrainedTokenizerBase, limit: int) -> list[str]:
    """Return the faults of tasks with labels longer than any answer: no decoding can write or rank them whole.

    `limit` is `prompt.max_target_length`, to which labels, targets and answers are all cut.
    """
    encoding = Encoding(tokenizer, encoder_decoder=True)
    return [fault for task in tasks if (fault := _cut_labels(task, encoding, limit)) is not None]


def _cut_labels(task: Task, encoding: Encoding, limit: int) -> str | None:
    labels = dict.fromkeys(label for choices in _label_lists(task) for label in choices)
    long = _cut(list(labels), encoding, limit)
    if not long:
        return None
    which = (
        f"the label {shown(long[0])} is"
        if len(long) == 1
        else f"{len(long)} labels, such as {shown(long[0])}, are"
    )
    return (
        f"{task.name}: {which} longer than prompt.max_target_length={limit} tokens, the end included, and would be "
        "cut: raise that limit"
    )


def _cut(texts: Sequence[str], encoding: Encoding, limit: int) -> list[str]:
    """Return the texts that are cut, each once."""
    long = list(dict.fromkeys(text for text in texts if may_be_cut(text, limit)))
    return [text for text, cut in zip(long, encoding.targets(long, limit)[1], strict=True) if cut]


def cut_references_note(
    prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase, limit: int
) -> str | None:
    """Say for how many instances every reference is longer than an answer may be; None where there is none."""
    encoding = Encoding(tokenizer, encoder_decoder=True)
    prompts = [prompt for prompt in prompts if not constraints_of(prompt.references)]
    long = set(_cut([text for prompt in prompts for text in prompt.references], encoding, limit))
    number = sum(all(text in long for text in prompt.references) for prompt in prompts) if long else 0
    if not number:
        return None
    return long_references_note(number, len(prompts), limit)


def check_labels(tasks: Sequence[Task], tokenizer: PreTrainedTokenizerBase, limit: int) -> list[str]:
    """Return the faults that bar constrained decoding or ranking, each naming its task, each once."""
    encoding = Encoding(tokenizer, encoder_decoder=True)
    confused = (
        f"{task.name}: {fault}"
        for task in tasks
        for choices, alike in _choosable(task)
        for fault in _faults(choices, encoding, limit, alike)
    )
    return list(dict.fromkeys((*cut_labels(tasks, tokenizer, limit), *confused)))


def _label_lists(task: Task) -> tuple[tuple[str, ...], ...]:
    """Return every list of labels that the task's instances choose from, each once."""
    return tuple(
        dict.fromkeys(
            (*([task.label_space] if task.label_space else []), *(c for _, c in task.answer_choices))
        )
    )


def _choosable(task: Task) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the lists of labels, with whether two of a list may be alike.

    Of a prompt set's row two choices may: the first is chosen, as by T0, which tells them apart by their place.
    """
    own = {choices for _, choices in task.answer_choices} if task.prompted else set()
    return ((choices, choices in own) for choices in _label_lists(task))


def _faults(choices: Sequence[str], encoding: Encoding, limit: int, alike: bool) -> Iterator[str]:
    """Say which labels of one list the tokenizer cannot tell apart; those that are cut are told already."""
    first: dict[tuple[int, ...], str] = {}
    for choice, ids, cut in zip(choices, *encoding.targets(choices, limit), strict=True):
        tokens = tuple(ids[:-1])  # the last one ends the target
        if cut:
            continue
        if not tokens:
            yield f"the label {choice!r} becomes no token at all: rename it (tasks.label_spaces; P3: answer_choices)"
        elif first.setdefault(tokens, choice) != choice and not alike:
            yield (
                f"the labels {first[tokens]!r} and {choice!r} are the same tokens to this model's tokenizer, so that "
                "it cannot choose between them: rename one (tasks.label_spaces; P3: answer_choices)"
            )
