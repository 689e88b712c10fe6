from dataclasses import replace

import pytest

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.decoding.answers.label_tree import label_tree
from instruct_ablate.model.decoding.question import Question, ask, stop_tokens
from instruct_ablate.prompt.prompt import Prediction
from tests.model.decoding_cases import LABELS, make_checkpoint, make_config, make_prompts


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint("tiny_llama", tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def encoding(checkpoint):
    return Encoding(checkpoint.tokenizer, encoder_decoder=False)


def test_equal_sources_are_one_question(encoding):
    first, second = make_prompts(1, 2)
    twin = replace(first, task="other")
    questions = ask([first, second, twin], encoding, make_config())
    assert [question.prompts for question in questions] == [(first, twin), (second,)]
    assert questions[0].task == first.task


def test_sources_are_cut_at_the_configured_length(encoding):
    config = make_config()
    config.prompt.max_source_length = 7
    assert {len(question.ids) for question in ask(make_prompts(1, 3), encoding, config)} == {7}


def test_choices_bind_only_outside_greedy_decoding(encoding):
    prompts = make_prompts(1, 3, LABELS)
    assert all(question.tree is None for question in ask(prompts, encoding, make_config()))
    bound = ask(prompts, encoding, make_config("rank"))
    assert all(question.label_tree.labels == LABELS for question in bound)
    assert bound[0].tree is bound[1].tree  # one tree for the same choices


def test_equal_sources_with_other_choices_are_two_questions(encoding):
    prompt = make_prompts(1, 1, LABELS)[0]
    other = replace(prompt, choices=("a", "b"))
    assert len(ask([prompt, other], encoding, make_config("rank"))) == 2
    assert len(ask([prompt, other], encoding, make_config())) == 1


@pytest.mark.parametrize(
    ("decoding", "chosen"), [("constrained", "one"), ("rank", "two"), ("rank_normalized", "three")]
)
def test_choose_by_each_decoding(decoding, chosen):
    tree = label_tree(("one", "two", "three"), ((1, 9, 0), (2, 0), (3, 4, 5, 0)))
    scores = [[-0.1, -3.0, 0.0], [-1.0, 0.0], [-1.2, 0.0, 0.0, 0.0]]
    question = Question((1, 2), (), tree)
    assert question.choose(scores, decoding) == chosen


def test_stop_tokens_join_tokenizer_and_generation_config(checkpoint, encoding):
    stops = stop_tokens(checkpoint.model, encoding)
    assert encoding.end in stops
    assert set(checkpoint.model.generation_config.eos_token_id) <= stops


def test_likelihoods_are_told_where_references_were_asked_for_and_scored(encoding):
    (prompt,) = make_prompts(1, 1)
    (plain,) = ask([prompt], encoding, make_config())
    assert (
        plain.prediction(prompt, "x", None)
        == plain.prediction(prompt, "x", [[-1.0]])
        == Prediction(prompt, "x")
    )

    class References:
        def likelihoods(self, prompt, scores):
            return scores

    asked = replace(plain, references=References())
    assert asked.prediction(prompt, "x", None) == Prediction(prompt, "x")
    assert asked.prediction(prompt, "x", ("scores",)).likelihoods == ("scores",)
