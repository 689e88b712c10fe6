from dataclasses import replace

import pytest
import torch

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.decoding.answers.label_tree import ROOT, label_tree
from instruct_ablate.model.decoding.engine_native import answer, together, way_note
from instruct_ablate.model.decoding.question import ask
from instruct_ablate.model.decoding.tails import GROUP
from instruct_ablate.model.loading.checkpoint import Checkpoint
from tests.model.decoding_cases import LABELS, generated, make_checkpoint, make_config, make_prompts, scored


@pytest.fixture
def checkpoint(tmp_path):
    return make_checkpoint("tiny_llama", tmp_path)


def answers(checkpoint, prompts, config, finished=lambda question: False):
    questions = ask(prompts, Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder), config)
    return {
        question.prompts[0].instance_id: text
        for question, text, *_ in answer(checkpoint, questions, config, finished)
    }


def test_a_group_of_batches_is_decoded_whole_or_not_at_all(checkpoint, monkeypatch):
    monkeypatch.setattr("instruct_ablate.model.decoding.engine_native.GROUP", 2)
    prompts = make_prompts(2, 24)
    done = {prompt.instance_id for prompt in prompts[:24]}
    found = answers(
        checkpoint, prompts, make_config(batch_tokens=120), lambda q: q.prompts[0].instance_id in done
    )
    assert {p.instance_id for p in prompts[24:]} <= set(found)
    assert set(found) < {p.instance_id for p in prompts}


def test_the_model_is_left_as_it_was_and_the_caller_outside_inference_mode(checkpoint):
    checkpoint.model.train()
    former = checkpoint.model.config._attn_implementation
    config = make_config()
    questions = ask(make_prompts(1, 3), Encoding(checkpoint.tokenizer, False), config)
    for _ in answer(checkpoint, questions, config, lambda question: False):
        assert not torch.is_inference_mode_enabled()
        assert checkpoint.model.training
        assert checkpoint.model.config._attn_implementation == former


def test_steps_leave_attention_and_ordered_weights_to_their_batch(checkpoint, monkeypatch):
    from instruct_ablate.model.decoding.layers import decoder_only

    changes, steps, used = [], [], set()
    model = checkpoint.model
    plain, step = model.set_attn_implementation, decoder_only.PackedDecoder.step

    def noted(decoder, tokens):
        steps.append(len(tokens))
        used.add(id(decoder.weights))
        return step(decoder, tokens)

    answers(checkpoint, make_prompts(1, 1), make_config())  # trials step, too
    monkeypatch.setattr(model, "set_attn_implementation", lambda name: changes.append(name) or plain(name))
    monkeypatch.setattr(decoder_only.PackedDecoder, "step", noted)
    prompts = make_prompts(2, 10)
    found = answers(checkpoint, prompts, make_config(batch_tokens=120))
    assert len(used) == 1
    assert len(changes) % 2 == 0
    assert len(changes) // 2 > 1  # batches
    assert len(steps) > len(changes)
    assert found == {p.instance_id: generated(checkpoint, p) for p in prompts}


def test_adapters_take_part(checkpoint):
    from peft import LoraConfig, get_peft_model

    prompts = make_prompts(1, 6)
    before = answers(checkpoint, prompts, make_config())
    wrapped = get_peft_model(
        checkpoint.model, LoraConfig(target_modules="all-linear", init_lora_weights=False, r=8)
    )
    tuned = Checkpoint(wrapped, checkpoint.tokenizer, False, "tuned")
    found = answers(tuned, prompts, make_config())
    wrapped.eval()
    assert found == {p.instance_id: generated(tuned, p) for p in prompts}
    assert found != before


def test_ranking_in_bf16_uses_fp32_logits(checkpoint, monkeypatch):
    from instruct_ablate.model.decoding import engine_native

    seen = []
    keep = engine_native.token_scores
    monkeypatch.setattr(
        engine_native, "token_scores", lambda tree, logits: seen.append(logits.dtype) or keep(tree, logits)
    )
    checkpoint.model.to(torch.bfloat16)
    answers(checkpoint, make_prompts(1, 3, LABELS), make_config("rank"))
    assert set(seen) == {torch.float32}
    assert not checkpoint.model.get_output_embeddings()._forward_hooks


def test_label_scores_equal_separate_passes(checkpoint, monkeypatch):
    from instruct_ablate.model.decoding import engine_native

    seen = []
    keep = engine_native.token_scores
    monkeypatch.setattr(engine_native, "token_scores", lambda *given: seen.append(keep(*given)) or seen[-1])
    prompts = make_prompts(1, 5, LABELS)
    order = list(answers(checkpoint, prompts, make_config("rank")))
    by_id = {prompt.instance_id: prompt for prompt in prompts}
    for name, rows in zip(order, seen, strict=True):
        for row, expected in zip(rows, scored(checkpoint, by_id[name]), strict=True):
            assert row == pytest.approx(expected, abs=1e-5, rel=1e-5)


def test_unknown_architectures_go_through_the_library(checkpoint, monkeypatch):
    from instruct_ablate.model.decoding import engine_native

    prompts = make_prompts(1, 4)
    expected = answers(checkpoint, prompts, make_config())
    monkeypatch.setattr(engine_native, "is_packable", lambda *given: False)
    monkeypatch.setattr(engine_native, "PackedDecoder", None)
    assert answers(checkpoint, prompts, make_config()) == expected


def test_the_slower_way_is_said(checkpoint, tmp_path):
    assert way_note(checkpoint, make_config()) is None
    bart = make_checkpoint("tiny_bart", tmp_path)
    note = way_note(bart, make_config())
    assert note.endswith("packed decoding does not know models of type bart")
    assert way_note(bart, make_config(engine="vllm")) is None


def test_whose_last_answers_are_written_together_is_known(checkpoint, tmp_path):
    """A grid of several models is not told that its cells were computed in several ways."""
    bart, prompts = make_checkpoint("tiny_bart", tmp_path), make_prompts(1, 4)
    assert together(checkpoint, make_config(), prompts) == GROUP
    assert together(bart, make_config(), prompts) == 1
    assert together(checkpoint, make_config(engine="vllm"), prompts) == 1


@pytest.mark.parametrize("decoding", ["greedy", "constrained", "rank", "rank_normalized"])
def test_company_is_noted_where_an_answer_is_written_and_nowhere_else(checkpoint, decoding, monkeypatch):
    from instruct_ablate.model.decoding import engine_native

    real, written, config = engine_native.decode_greedily, [], make_config(decoding)
    monkeypatch.setattr(engine_native, "decode_greedily", lambda *given: written.append(1) or real(*given))
    labelled, free = make_prompts(1, 4, choices=LABELS), make_prompts(1, 4, choices=None)
    for prompts in (labelled, free, [*labelled, *free]):
        written.clear()
        answers(checkpoint, prompts, config)
        assert together(checkpoint, config, prompts) == (GROUP if written else 1)
        assert bool(written) == (decoding == "greedy" or prompts is not labelled)


@pytest.mark.parametrize("family", ["tiny_llama", "tiny_t5"])
def test_a_question_bound_to_a_label_without_a_token_is_bound(tmp_path, family):
    """Before: a tree without a node that is read was taken for none, and the answer written freely."""
    checkpoint = make_checkpoint(family, tmp_path)
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    (bound,) = ask(make_prompts(1, 1, ("yes",)), encoding, make_config("rank"))
    tree = label_tree(("",), ((encoding.end,),))
    assert (tree.size, tree.paths) == (0, (((ROOT, encoding.end),),))
    empty = replace(bound, tree=tree)
    (found,) = answer(checkpoint, [empty], make_config("rank"), lambda question: False)
    assert (found.text, found.cut) == ("", False)
