"""Likelihoods of references beside the answers: those of a plain forward pass of transformers, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.decoding import engine_transformers
from instruct_ablate.model.decoding.answers import references
from instruct_ablate.model.decoding.answers.label_tree import label_tree
from instruct_ablate.model.decoding.answers.references import parts
from instruct_ablate.model.decoding.predict import predict
from instruct_ablate.model.decoding.question import ask
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.prompt.prompt import Likelihood, Prediction, Prompt
from tests.model.decoding_cases import LABELS, LIMIT, make_checkpoint, make_config, make_prompts, source

LONG = "the value of one dog and two cats in three rivers is true or false or maybe so, and so on and on"
SEVERAL = ("yes", "yes it is", "maybe the river", "", LONG, "yes")
NEAR = {"rel": 1e-4, "abs": 1e-4}


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_t5"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_checkpoint(request.param, tmp_path_factory.mktemp("cache"))


def asked(count: int = 5, choices: tuple[str, ...] | None = None) -> list[Prompt]:
    """Prompts with references of several kinds; two of them share their source and differ in references."""
    given = make_prompts(2, count, choices)
    several = [replace(one, references=SEVERAL[at % 5 :]) for at, one in enumerate(given)]
    return [*several, replace(given[0], instance_id="twin", references=("no", "two three"))]


def plain(checkpoint: Checkpoint, prompt: Prompt, text: str) -> list[float]:
    """The log-likelihood of each token of a training target, by transformers alone."""
    ids = source(checkpoint, prompt)
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    ((target,), _) = encoding.targets([text], LIMIT)
    with torch.no_grad():
        if checkpoint.encoder_decoder:
            before = torch.tensor([[checkpoint.start_token, *target[:-1]]])
            logits = checkpoint.model(input_ids=torch.tensor([ids]), decoder_input_ids=before).logits[0]
        else:
            every = torch.tensor([[*ids, *target[:-1]]])
            logits = checkpoint.model(input_ids=every).logits[0, len(ids) - 1 :]
    found: list[float] = logits.float().log_softmax(-1)[range(len(target)), target].tolist()
    return found


def check(checkpoint: Checkpoint, predictions: Sequence[Prediction], near: dict[str, float] = NEAR) -> None:
    for one in predictions:
        assert one.likelihoods is not None
        for text, told in zip(one.prompt.references, one.likelihoods, strict=True):
            along = plain(checkpoint, one.prompt, text)
            assert told.log_probability == pytest.approx(sum(along), **near), text
            assert told.tokens == len(along), "the end token counts"


@pytest.mark.parametrize("decoding", ["greedy", "rank"])
def test_they_are_those_of_a_plain_forward_pass(checkpoint: Checkpoint, decoding: str) -> None:
    """Under `rank` some references are labels, whose scores are there already, and others are not."""
    prompts = asked(choices=LABELS if decoding == "rank" else None)
    config = make_config(decoding)
    found = list(predict(checkpoint, prompts, config, likelihoods=True))
    check(checkpoint, found)
    without = list(predict(checkpoint, prompts, config))
    assert [(one.prompt, one.text) for one in found] == [(one.prompt, one.text) for one in without]
    assert all(one.likelihoods is None for one in without)


def test_the_end_token_is_the_last_that_counts(checkpoint: Checkpoint) -> None:
    prompt = replace(make_prompts(1, 1)[0], references=("yes it is",))
    ((one,),) = [p.likelihoods or () for p in predict(checkpoint, [prompt], make_config(), likelihoods=True)]
    along = plain(checkpoint, prompt, "yes it is")
    end = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder).targets(["yes it is"], LIMIT)[0][0][-1]
    assert end == checkpoint.tokenizer.eos_token_id
    assert one.log_probability - along[-1] == pytest.approx(sum(along[:-1]), **NEAR)
    assert (one.tokens, one.bytes) == (len(along), 9), "and it is of no byte"


def test_a_reference_is_cut_as_a_target_and_its_bytes_with_it(checkpoint: Checkpoint) -> None:
    prompt = replace(make_prompts(1, 1)[0], references=(LONG, "", "où"))
    ((long, empty, accent),) = [
        p.likelihoods or () for p in predict(checkpoint, [prompt], make_config(), likelihoods=True)
    ]
    ids = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder).targets([LONG], LIMIT)[0][0]
    text = checkpoint.tokenizer.decode(ids[:-1], skip_special_tokens=True)
    assert (long.tokens, long.bytes) == (LIMIT, len(text.encode()))
    assert 0 < long.bytes < len(LONG)
    assert (empty.tokens, empty.bytes) == (1, 0)
    assert accent.bytes == 3


def test_neither_batches_nor_passes_matter(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = asked()
    whole = {
        one.prompt: one.likelihoods for one in predict(checkpoint, prompts, make_config(), likelihoods=True)
    }
    monkeypatch.setattr(references, "LOGITS", 7 * checkpoint.model.config.vocab_size)
    for one in predict(checkpoint, prompts, make_config(batch_tokens=64), likelihoods=True):
        for now, before in zip(one.likelihoods or (), whole[one.prompt] or (), strict=True):
            assert now.log_probability == pytest.approx(before.log_probability, **NEAR)


def test_what_is_finished_leaves_the_rest_to_the_last_bit(checkpoint: Checkpoint) -> None:
    prompts = asked()
    whole = list(predict(checkpoint, prompts, make_config(), likelihoods=True))
    finished = {(one.prompt.task, one.prompt.instance_id) for one in whole[:7]}
    assert list(predict(checkpoint, prompts, make_config(), finished, likelihoods=True)) == whole[7:]


@pytest.mark.parametrize("decoding", ["greedy", "rank"])
def test_transformers_own_engine_gives_the_same(checkpoint: Checkpoint, decoding: str) -> None:
    prompts, config = asked(3, LABELS if decoding == "rank" else None), make_config(decoding)
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    questions = ask(prompts, encoding, config, likelihoods=True)
    answers = engine_transformers.answer(checkpoint, questions, config, lambda question: False)
    found = [question.prediction(one, *rest) for question, *rest in answers for one in question.prompts]
    assert len(found) == len(prompts)
    check(checkpoint, found)


def test_half_precision_costs_little(tmp_path: Path) -> None:
    """In bf16 the logits are fp32 still: what is lost is the hidden states' rounding."""
    checkpoint = make_checkpoint("tiny_llama", tmp_path)
    checkpoint.model.to(torch.bfloat16)
    found = list(predict(checkpoint, asked(3), make_config(), likelihoods=True))
    checkpoint.model.to(torch.float32)  # the same weights, rounded
    check(checkpoint, found, {"rel": 0.05, "abs": 0.3})


def test_parts_stay_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    trees = [label_tree(["x"], [list(range(size + 1))]) for size in (1, 3, 0, 9, 2, 2)]
    monkeypatch.setattr(references, "LOGITS", 60)
    assert list(parts(trees, 10)) == [slice(0, 2), slice(2, 3), slice(3, 4), slice(4, 6)]
    assert list(parts(trees, 10, padded=True)) == [
        slice(0, 1),
        slice(1, 2),
        slice(2, 3),
        slice(3, 4),
        slice(4, 6),
    ]
    assert list(parts([], 10)) == []


def test_what_is_added_up() -> None:
    prompt = replace(make_prompts(1, 1)[0], references=("b", "a", "b"))
    tree = label_tree(["a", "b"], [[1, 0], [2, 3, 0]])
    known = references.References(tree, (1, 1))
    one, two = Likelihood(-1.5, 2, 1), Likelihood(-6.0, 3, 1)
    assert known.likelihoods(prompt, [[-1.0, -0.5], [-1.0, -2.0, -3.0]]) == (two, one, two)
    assert known.among(["b", "c", "a"], [[-3.0], [-2.0], [-1.0]]) == [[-1.0], [-3.0]]
    assert known.among(["b", "c"], [[-3.0], [-2.0]]) is None


@pytest.mark.parametrize(
    ("nodes", "padded", "cuts"),
    [
        ([3, 3, 3], False, [(0, 2), (2, 3)]),  # four rows of logits each, and room for eight
        ([3, 3], False, [(0, 2)]),
        ([3, 4], False, [(0, 1), (1, 2)]),
        ([1, 3], True, [(0, 2)]),  # filled up to the widest
        ([1, 1, 3], True, [(0, 2), (2, 3)]),
        ([20, 1], False, [(0, 1), (1, 2)]),  # one that is too large goes by itself
        ([], False, []),
    ],
)
def test_where_rows_are_cut_into_parts(
    monkeypatch: pytest.MonkeyPatch, nodes: list[int], padded: bool, cuts: list[tuple[int, int]]
) -> None:
    monkeypatch.setattr(references, "LOGITS", 8 * 100)
    trees: Any = [SimpleNamespace(size=count) for count in nodes]
    assert [(one.start, one.stop) for one in references.parts(trees, 100, padded)] == cuts
    empty: Any = SimpleNamespace(size=0)
    assert len(list(references.parts([empty, empty], 801))) == 2, (
        "one row at least, however large the vocabulary"
    )
