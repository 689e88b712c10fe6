"""Answer choices: what makes them unfit to decide between, found before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.metrics import normalize
from instruct_ablate.prompt.prompt import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LIMIT = 1_000_000  # tokens: labels are looked at whole


def check_choices(prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the faults that bar constrained decoding or ranking, each naming its task, each once.

    Generation prompts need no choices: they are decoded greedily, whatever `evaluation.decoding`.
    """
    encoding = Encoding(tokenizer, encoder_decoder=True)
    faults: dict[str, None] = {}
    seen: dict[tuple[str, tuple[str, ...] | None], str] = {}
    for prompt in prompts:
        if prompt.choices is not None or prompt.kind == "classification":
            seen.setdefault((prompt.task, prompt.choices), prompt.instance_id)
    for (task, choices), instance in seen.items():
        for fault in _faults(choices or (), encoding):
            faults[f"task {task} (instance {instance}): {fault}"] = None
    return list(faults)


def _faults(choices: Sequence[str], encoding: Encoding) -> Iterator[str]:
    """Say what is wrong with one list of choices."""
    if not choices:
        yield (
            "it is a classification task without answer choices, which constrained decoding and ranking choose "
            "from. Give its labels in tasks.label_spaces (P3: answer_choices), or use evaluation.decoding=greedy."
        )
        return
    ids = [tuple(tokens[:-1]) for tokens in encoding.targets(choices, LIMIT)[0]]
    for choice, tokens in zip(choices, ids, strict=True):
        if not tokens:
            yield f"the label {choice!r} becomes no token at all; rename it in tasks.label_spaces."
    yield from _doubles(choices, [normalize(choice) or choice for choice in choices], "normalisation")
    yield from _doubles(choices, ids, "tokenisation")


def _doubles(choices: Sequence[str], forms: Sequence[object], why: str) -> Iterator[str]:
    """Name labels that share a form."""
    first: dict[object, str] = {}
    for choice, form in zip(choices, forms, strict=True):
        if first.setdefault(form, choice) != choice:
            yield (
                f"the labels {first[form]!r} and {choice!r} are the same after {why}, so that no prediction could "
                "tell them apart; rename or remove one in tasks.label_spaces."
            )
