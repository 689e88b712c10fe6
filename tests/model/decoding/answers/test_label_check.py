from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instruct_ablate.constraints import make, to_text
from instruct_ablate.model.decoding.answers import label_check as choices
from instruct_ablate.model.decoding.answers.label_check import (
    check_labels,
    cut_labels,
    cut_references_note,
    may_be_cut,
    may_cut_labels,
)
from instruct_ablate.prompt.prompt import Prompt
from tests.conftest import make_task
from tests.model.decoding_cases import make_checkpoint


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_checkpoint("tiny_llama", tmp_path_factory.mktemp("cache")).tokenizer


def faults(tokenizer: Any, *lists: tuple[str, ...]) -> list[str]:
    """The faults of a task whose instances choose from these lists."""
    own = tuple((str(number), labels) for number, labels in enumerate(lists))
    return check_labels(
        [replace(make_task(), name="task0", label_space=None, answer_choices=own)], tokenizer, 128
    )


def test_proper_labels_pass(tokenizer: Any) -> None:
    assert faults(tokenizer, ("yes", "no", "no way"), ("+", "-")) == []


def test_a_label_without_tokens_is_named_once_a_task(tokenizer: Any) -> None:
    (found,) = faults(tokenizer, ("yes", ""), ("yes", ""))
    assert found.startswith("task0: the label ''")
    assert "answer_choices" in found


def test_the_label_space_is_looked_at_too(tokenizer: Any) -> None:
    task = replace(make_task(), name="task1", label_space=("a", ""))
    assert check_labels([task], tokenizer, 128)[0].startswith("task1: the label ''")


def test_labels_of_the_same_tokens(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        choices.Encoding, "targets", lambda self, texts, limit: ([[7, 0]] * len(texts), [False] * len(texts))
    )
    (found,) = faults(tokenizer, ("red", "blue"))
    assert "'red' and 'blue' are the same tokens" in found
    own = replace(make_task(), label_space=None, answer_choices=(("0", ("red", "blue")),), prompted=True)
    assert check_labels([own], tokenizer, 128) == [], "of a prompt set's row, the first is chosen"


def test_a_task_of_free_answers_has_none(tokenizer: Any) -> None:
    assert faults(tokenizer) == []


def test_a_label_that_decoding_would_cut_is_refused_by_the_same_limit(tokenizer: Any) -> None:
    task = replace(make_task(), name="task1", label_space=("a", "a very long label of many words"))
    assert check_labels([task], tokenizer, 128) == []
    (found,) = check_labels([task], tokenizer, 3)
    assert "prompt.max_target_length=3" in found
    assert "would be cut" in found


def test_greedy_decoding_asks_the_tokenizer_only_where_a_label_may_be_cut(tokenizer: Any) -> None:
    task = replace(make_task(), name="task1", label_space=("a", "é" * 30, "ü" * 30))
    assert (may_cut_labels([task], 62), may_cut_labels([task], 61)) == (False, True)
    assert cut_labels([task], tokenizer, 62) == []
    (found,) = cut_labels([task], tokenizer, 3)
    assert found.startswith("task1: 2 labels, such as ")


@pytest.mark.parametrize("text", ["x", "日本語 𝔘", "\u200d\n\t", "aaaa" * 20])
def test_no_text_has_more_tokens_than_bytes(tokenizer: Any, text: str) -> None:
    (ids,), _ = choices.Encoding(tokenizer, False).targets([text], 10_000)
    assert choices.may_be_cut(text, len(ids) - 1)


def test_references_that_no_answer_can_match_are_counted(tokenizer: Any) -> None:
    long = "word " * 40

    def asked(*references: str) -> Prompt:
        return Prompt("t", "c", "generation", "1", "", references, references[0])

    prompts = [asked("short"), asked(long, "short"), asked(long), asked(long + "x", long)]
    found = cut_references_note(prompts, tokenizer, 20)
    assert found is not None
    assert found.startswith(
        "the references of 2 of 4 instances (50.0%) are longer than prompt.max_target_length=20"
    )
    assert cut_references_note(prompts, tokenizer, 400) is None


@pytest.mark.parametrize(
    ("text", "limit", "cut"), [("yes", 5, False), ("yes", 4, True), ("\ud83d", 5, False)]
)
def test_what_may_be_cut_goes_by_bytes(text: str, limit: int, cut: bool) -> None:
    assert may_be_cut(text, limit) is cut


def test_constraints_are_no_answers_that_could_be_cut(tokenizer: Any) -> None:
    checked = Prompt("t", "c", "generation", "1", "", (to_text(make("keywords", words=["a" * 200])),), "")
    assert cut_references_note([checked], tokenizer, 20) is None
