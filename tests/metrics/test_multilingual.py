from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from instruct_ablate.errors import UserError
from instruct_ablate.metrics import load_metrics, multilingual
from instruct_ablate.metrics.multilingual import rouge1_gpt2, rouge_l_gpt2, tokens

TEXTS = [
    "the cat sat on the mat",
    "The cat, on the mat!",
    "नमस्ते दुनिया",
    "猫坐在垫子上",
    "кошка на коврике",
    "  two  spaces",
    "",
]


@pytest.fixture
def tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A small byte-level BPE, built as GPT-2's."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    made.save(str(tmp_path / "tokenizer.json"))
    monkeypatch.setenv("GPT2_TOKENIZER", str(tmp_path))
    monkeypatch.setattr(multilingual, "VOCABULARY", made.get_vocab_size())
    multilingual._tokenizer.cache_clear()
    tokens.cache_clear()
    yield made
    multilingual._tokenizer.cache_clear()
    tokens.cache_clear()


def test_they_are_rouge_scores_with_that_tokenizer(tokenizer: Any) -> None:
    from rouge_score import rouge_scorer

    class Cut:
        def tokenize(self, text: str) -> list[str]:
            return [token.lstrip("Ġ") for token in tokenizer.encode(text).tokens]

    scorer = rouge_scorer.RougeScorer(["rouge1", "rougeL"], tokenizer=Cut())
    for one in TEXTS:
        for other in TEXTS:
            right = scorer.score(other, one)
            assert rouge1_gpt2(one, [other]) == pytest.approx(right["rouge1"].fmeasure, abs=1e-12)
            assert rouge_l_gpt2(one, [other]) == pytest.approx(right["rougeL"].fmeasure, abs=1e-12)


def test_the_best_reference_counts_and_case_tells_apart(tokenizer: Any) -> None:
    assert rouge_l_gpt2("кошка на коврике", ["猫坐在垫子上", "кошка на коврике"]) == 1.0
    assert rouge1_gpt2("The", ["the"]) < 1.0
    assert [one.name for one in load_metrics(["rougeL_gpt2"])][-1] == "rougeL_gpt2"


def test_what_is_no_tokenizer_of_gpt2_is_refused(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    multilingual.check_tokenizer()
    monkeypatch.setattr(multilingual, "VOCABULARY", 50257)
    multilingual._tokenizer.cache_clear()
    with pytest.raises(UserError, match=r"GPT-2's tokenizer has 50257"):
        multilingual.check_tokenizer()


def test_a_missing_file_is_told_before_a_grid_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from instruct_ablate.grid.checking.reading_checks import check_asked_metrics

    monkeypatch.setenv("GPT2_TOKENIZER", str(tmp_path / "none.json"))
    multilingual._tokenizer.cache_clear()
    with pytest.raises(UserError, match=r"cannot be read from .*none.json.*set GPT2_TOKENIZER"):
        check_asked_metrics(["rougeL_gpt2"], [], (False, None), "native", "greedy")
    check_asked_metrics([], [], (False, None), "native", "greedy")


def test_single_words_and_their_order_are_two_scores(tokenizer: Any) -> None:
    assert rouge1_gpt2("mat the on", ["on the mat"]) > rouge_l_gpt2("mat the on", ["on the mat"]) > 0


def test_without_a_file_it_is_that_of_the_hub(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.delenv("GPT2_TOKENIZER")
    monkeypatch.setattr(Tokenizer, "from_pretrained", lambda name: asked.append(name) or tokenizer)
    multilingual.check_tokenizer()
    assert asked == ["gpt2"]
