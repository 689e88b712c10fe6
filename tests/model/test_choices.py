from dataclasses import replace

import pytest

from instruct_ablate.model.choices import check_choices
from tests.model.decoding_cases import make_checkpoint, make_prompts


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return make_checkpoint("tiny_llama", tmp_path_factory.mktemp("cache")).tokenizer


def faults(tokenizer, choices, **changes):
    return check_choices([replace(prompt, **changes) for prompt in make_prompts(1, 3, choices)], tokenizer)


def test_proper_labels_pass(tokenizer):
    assert faults(tokenizer, ("yes", "no", "no way")) == []


def test_a_label_without_tokens_is_named_once_per_task(tokenizer):
    found = faults(tokenizer, ("yes", ""))
    assert len(found) == 1
    assert "task0" in found[0]
    assert "''" in found[0]
    assert "tasks.label_spaces" in found[0]


def test_labels_equal_after_normalisation(tokenizer):
    found = faults(tokenizer, ("Yes", "no", "yes."))
    assert len(found) == 1
    assert "'Yes' and 'yes.'" in found[0]
    assert "normalisation" in found[0]


def test_labels_of_punctuation_alone_are_told_apart(tokenizer):
    assert not [fault for fault in faults(tokenizer, ("+", "-")) if "normalisation" in fault]


def test_labels_equal_after_tokenisation(tokenizer, monkeypatch):
    from instruct_ablate.model import choices

    monkeypatch.setattr(choices.Encoding, "targets", lambda self, texts, limit: ([[7, 0]] * len(texts), []))
    found = faults(tokenizer, ("red", "blue"))
    assert len(found) == 1
    assert "tokenisation" in found[0]


def test_classification_without_choices(tokenizer):
    found = faults(tokenizer, None, kind="classification")
    assert len(found) == 1
    assert "answer_choices" in found[0]


def test_generation_needs_none(tokenizer):
    assert faults(tokenizer, None) == []
