import pytest

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.decoding.engine_transformers import answer
from instruct_ablate.model.decoding.predict import predict
from instruct_ablate.model.decoding.question import ask
from tests.model.decoding_cases import LABELS, make_checkpoint, make_config, make_prompts


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_t5"])
def checkpoint(request, tmp_path_factory):
    return make_checkpoint(request.param, tmp_path_factory.mktemp("cache"))


def answers(checkpoint, prompts, config, finished=lambda question: False):
    questions = ask(prompts, Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder), config)
    return {
        question.prompts[0].instance_id: text
        for question, text, *_ in answer(checkpoint, questions, config, finished)
    }


@pytest.mark.parametrize("decoding", ["greedy", "constrained", "rank", "rank_normalized"])
def test_the_same_answers_as_the_packed_decoders(checkpoint, decoding):
    config, prompts = make_config(decoding), make_prompts(2, 6, LABELS)
    expected = {one.prompt.instance_id: one.text for one in predict(checkpoint, prompts, config)}
    assert answers(checkpoint, prompts, config) == expected


def test_finished_batches_are_left_out(checkpoint):
    assert answers(checkpoint, make_prompts(1, 3), make_config(), lambda question: True) == {}


def test_free_and_bound_questions_together(checkpoint):
    prompts = [*make_prompts(1, 3), *make_prompts(2, 3, LABELS)[3:]]
    found = answers(checkpoint, prompts, make_config("rank"))
    assert len(found) == 6
    assert {found[p.instance_id] for p in prompts[3:]} <= set(LABELS)
