"""Answers bounded by their task's longest output: the same in every way of answering, whatever is asked with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from instruct_ablate.constraints import make, to_text
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.decoding import engine_native
from instruct_ablate.model.decoding.answers.answer_bound import (
    answer_limits,
    bound_note,
    task_outputs,
    with_task_outputs,
)
from instruct_ablate.model.decoding.early_stop import is_cut
from instruct_ablate.model.decoding.predict import predict
from instruct_ablate.model.decoding.question import Question, ask
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.prompt.prompt import Prediction, Prompt
from instruct_ablate.schema import Config
from tests.conftest import make_task
from tests.model.decoding_cases import LABELS, LIMIT, make_checkpoint, make_config, make_prompts

Texts = dict[tuple[str, str], str]
OUTPUTS = {"task0": ("a",), "task1": ("the dog", "no"), "task2": ()}


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_t5"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_checkpoint(request.param, tmp_path_factory.mktemp("cache"))


def bounded(count: int = 12) -> list[Prompt]:
    return [replace(prompt, task_outputs=OUTPUTS[prompt.task]) for prompt in make_prompts(3, count)]


def config_with(slack: int | None, decoding: str = "greedy") -> Config:
    config = make_config(decoding)
    config.evaluation.answer_slack = slack
    return config


def texts(predictions: Iterable[Prediction]) -> Texts:
    return {(one.prompt.task, one.prompt.instance_id): one.text for one in predictions}


def encoding(checkpoint: Checkpoint) -> Encoding:
    return Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of what is decoded."""
    lengths: list[int] = []
    decode: Callable[..., Any] = engine_native.decode_greedily

    def noted(*words: Any) -> Any:
        for row, tokens in decode(*words):
            lengths.append(len(tokens))
            yield row, tokens

    monkeypatch.setattr(engine_native, "decode_greedily", noted)
    return lengths


def test_limits_are_those_of_each_task(checkpoint: Checkpoint) -> None:
    prompts, config = bounded(2), config_with(1)
    ids = encoding(checkpoint).targets(["a", "the dog", "no"], 99)[0]
    limits = answer_limits(prompts, encoding(checkpoint), config)
    assert limits == {
        "task0": min(len(ids[0]) + 1, LIMIT), "task1": min(max(len(ids[1]), len(ids[2])) + 1, LIMIT), "task2": LIMIT
    }  # fmt: skip
    assert limits["task0"] < limits["task1"]
    assert answer_limits(prompts[::-1], encoding(checkpoint), config) == limits
    assert set(answer_limits(prompts, encoding(checkpoint), config_with(99)).values()) == {LIMIT}
    assert set(answer_limits(prompts, encoding(checkpoint), config_with(None)).values()) == {LIMIT}


def test_a_bound_without_a_tasks_outputs_is_no_bound_in_silence(checkpoint: Checkpoint) -> None:
    with pytest.raises(RuntimeError, match=r"task0.*lack"):
        list(predict(checkpoint, make_prompts(1, 1), config_with(1)))


@pytest.mark.parametrize("native", [True, False])
def test_answers_are_the_first_tokens_of_whole_ones(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, written: list[int], native: bool
) -> None:
    monkeypatch.setattr(engine_native, "is_native", lambda checkpoint: native)
    prompts = bounded()
    whole = texts(predict(checkpoint, prompts, config_with(None)))
    before, _ = sum(written), written.clear()
    found = texts(predict(checkpoint, prompts, config_with(0)))
    limits = answer_limits(prompts, encoding(checkpoint), config_with(0))
    assert all(whole[key].startswith(text.rstrip("\ufffd").rstrip()) for key, text in found.items())
    shorter = {task for task, own in found if found[task, own] != whole[task, own]}
    assert shorter == {"task0", "task1"}  # the third has no bound
    assert found.keys() == whole.keys()
    if native:
        assert sum(written) < before
        assert max(written) <= max(limits.values())


def test_every_row_ends_at_its_own_bound_whoever_is_decoded_beside_it(
    checkpoint: Checkpoint, written: list[int]
) -> None:
    prompts, config = bounded(), config_with(1)
    together = texts(predict(checkpoint, prompts, config))
    limits = answer_limits(prompts, encoding(checkpoint), config)
    for task, limit in limits.items():
        written.clear()
        own = [prompt for prompt in prompts if prompt.task == task]
        assert texts(predict(checkpoint, own, config)).items() <= together.items()
        assert max(written) == limit or task == "task2"
    assert texts(predict(checkpoint, prompts[::-1], config)) == together


def test_a_resumed_test_and_a_sample_have_the_bound_of_the_whole(checkpoint: Checkpoint) -> None:
    prompts, config = bounded(), config_with(0)
    whole = texts(predict(checkpoint, prompts, config))
    finished = set(list(whole)[:17])
    rest = texts(predict(checkpoint, prompts, config, finished))
    assert {**rest, **{key: whole[key] for key in finished}} == whole
    assert texts(predict(checkpoint, prompts[5:9], config)).items() <= whole.items()


def test_one_source_of_two_tasks_is_asked_with_both_bounds(checkpoint: Checkpoint) -> None:
    first = bounded(1)[0]
    twin = replace(first, task="task2", task_outputs=())
    asked = ask([first, twin, replace(first, instance_id="x")], encoding(checkpoint), config_with(0))
    assert [len(question.prompts) for question in asked] == [2, 1]
    assert asked[0].most < asked[1].most == LIMIT
    assert len(ask([first, twin], encoding(checkpoint), config_with(None))) == 1


@pytest.mark.parametrize("decoding", ["rank", "constrained"])
def test_labels_are_never_cut_by_a_bound(checkpoint: Checkpoint, decoding: str) -> None:
    prompts = [replace(prompt, task_outputs=("no",)) for prompt in make_prompts(2, 6, LABELS)]
    whole = texts(predict(checkpoint, prompts, config_with(None, decoding)))
    assert texts(predict(checkpoint, prompts, config_with(0, decoding))) == whole


def test_the_outputs_of_a_task_are_references_of_all_its_instances_and_its_labels() -> None:
    task = make_task("t", 3)
    references = [text for instance in task.instances for text in instance.references]
    labelled = replace(task, label_space=("a label", references[0]))
    assert set(task_outputs(labelled)) == {*references, "a label"}
    choices = replace(task, label_space=None, answer_choices=(("0", ("this", "that")),))
    assert set(task_outputs(choices)) == {*references, "this", "that"}
    ruled = replace(task.instances[0], references=(to_text(make("keywords", words=["a"])),))
    assert task_outputs(replace(labelled, instances=(*task.instances[1:], ruled))) == ()


def test_prompts_of_some_instances_know_the_outputs_of_all() -> None:
    task = make_task("task0", 3)
    (prompt,) = make_prompts(1, 1)
    assert with_task_outputs([prompt], [task], None) == (prompt,)
    (told,) = with_task_outputs([prompt], [task], 0)
    assert told.task_outputs == task_outputs(task)


def test_the_note_names_the_shortest_and_the_longest(checkpoint: Checkpoint) -> None:
    prompts, config = bounded(2), config_with(1)
    limits = answer_limits(prompts, encoding(checkpoint), config)
    note = bound_note(prompts, encoding(checkpoint), config)
    assert note is not None
    assert f"answer_slack=1 ends written answers after {limits['task0']} to {LIMIT} tokens" in note
    assert bound_note(prompts, encoding(checkpoint), config_with(None)) is None
    only = bound_note(prompts[:2], encoding(checkpoint), config)
    assert only is not None
    assert f"after {limits['task0']} tokens" in only


def cuts(predictions: Iterable[Prediction]) -> dict[tuple[str, str], bool]:
    return {(one.prompt.task, one.prompt.instance_id): one.cut for one in predictions}


@pytest.mark.parametrize("slack", [None, 0, 2, 99])
def test_answers_that_came_to_their_greatest_length_are_marked(
    slack: int | None, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, written: list[int]
) -> None:
    prompts, config = bounded(), config_with(slack)
    found = cuts(predict(checkpoint, prompts, config))
    limits = {*answer_limits(prompts, encoding(checkpoint), config).values()}
    assert any(found.values())
    if len(limits) == 1:
        assert sum(found.values()) == sum(length in limits for length in written)
    alone = {key: cut for one in prompts for key, cut in cuts(predict(checkpoint, [one], config)).items()}
    assert alone == found, "whatever the company"
    monkeypatch.setattr(engine_native, "is_native", lambda checkpoint: False)
    assert cuts(predict(checkpoint, prompts, config)) == found, "by transformers' own way too"


def test_what_ends_by_itself_or_is_chosen_is_not_marked(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = [replace(prompt, choices=LABELS) for prompt in bounded()]
    assert not any(cuts(predict(checkpoint, choices, config_with(0, "rank"))).values())
    every = range(len(checkpoint.tokenizer))
    monkeypatch.setattr(engine_native, "stop_tokens", lambda model, encoding: frozenset(every))
    assert not any(cuts(predict(checkpoint, bounded(), config_with(0))).values())


@pytest.mark.parametrize(
    ("text", "stop", "cut"), [("a\n", "line", False), ("a\n", "token", True), ("\na", "line", True)]
)
def test_a_line_that_ends_with_the_last_token_is_whole(text: str, stop: str, cut: bool) -> None:
    config = config_with(None).evaluation
    config.stop = stop
    question = Question((1,), (), limit=3)
    assert is_cut(question, [5, 6, 7], text, config) is cut
    assert not is_cut(question, [5, 6], text, config)
