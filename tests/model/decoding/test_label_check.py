from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instruct_ablate.model.decoding import label_check as choices
from instruct_ablate.model.decoding.label_check import check_labels
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


def test_a_task_of_free_answers_has_none(tokenizer: Any) -> None:
    assert faults(tokenizer) == []


def test_a_label_that_decoding_would_cut_is_refused_by_the_same_limit(tokenizer: Any) -> None:
    task = replace(make_task(), name="task1", label_space=("a", "a very long label of many words"))
    assert check_labels([task], tokenizer, 128) == []
    (found,) = check_labels([task], tokenizer, 3)
    assert "prompt.max_target_length=3" in found
    assert "would be cut" in found
