from __future__ import annotations

from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.model.decoding.settings import (
    LIMITS,
    check_channel,
    check_engine,
    check_evaluation,
    check_kind,
    check_likelihoods,
    check_thinking,
)
from instruct_ablate.schema import EvaluationConfig, InstructionConfig, PromptConfig
from tests.conftest import make_task
from tests.ends import Ends, check_ends


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"instructions": []}, "nothing would be tested"),
        ({"instructions": ["delusiv"]}, "did you mean 'delusive'"),
        ({"instructions": [""]}, "is empty"),
        ({"decoding": "greed"}, "did you mean 'greedy'"),
        ({"engine": "vlm"}, "did you mean 'vllm'"),
        ({"batch_tokens": 0}, "batch_tokens=0"),
    ],
)
def test_tests_that_cannot_be_made(changes: dict[str, Any], said: str) -> None:
    check_evaluation(EvaluationConfig(["same", "empty+original"]), InstructionConfig())
    with pytest.raises(UserError, match=said):
        check_evaluation(EvaluationConfig(**changes), InstructionConfig())


def test_an_engine_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_engine("native")
    with pytest.raises(UserError, match=r"instruct-ablate\[vllm\]"):
        check_engine("vllm")


def test_the_channel_form_is_refused_where_it_cannot_be() -> None:
    labelled, free, minimal = make_task(), make_task(label_space=None), PromptConfig("minimal")
    check_channel((labelled, free), minimal)
    for tasks, prompt, said in (
        ((free,), minimal, "no test task has any"),
        ((labelled, make_task("own", prompted=True)), minimal, "own brings its own prompts"),
        ((labelled,), PromptConfig("alpaca"), "Choose prompt=minimal, question_answer, plain, tk_instruct"),
        ((labelled,), PromptConfig("tk_instruct", add_task_name=True), "add_task_name=true has no form"),
    ):
        with pytest.raises(UserError, match=said):
            check_channel(tasks, prompt)
    with pytest.raises(UserError, match="stand in the prompts under"):
        check_likelihoods("native", ("reference_log_likelihood",), "channel")
    channel = EvaluationConfig(decoding="channel")
    check_evaluation(channel, InstructionConfig())
    with pytest.raises(UserError, match="no place for negative examples"):
        check_evaluation(channel, InstructionConfig(num_negative=1))


def test_vllm_runs_no_encoder_decoder() -> None:
    check_kind("native", encoder_decoder=True)
    check_kind("vllm", encoder_decoder=False)
    with pytest.raises(UserError, match="engine=native"):
        check_kind("vllm", encoder_decoder=True)


@pytest.mark.parametrize("decoding", ["greedy", "constrained", "rank", "rank_normalized"])
def test_what_testing_can_do(decoding: str) -> None:
    check_evaluation(
        EvaluationConfig(["same"], decoding=decoding, batch_tokens=1, engine="native"), InstructionConfig()
    )


def test_faults_are_told_under_their_group() -> None:
    with pytest.raises(UserError, match=r"^evaluation\.batch_tokens=0 must be at least 1$"):
        check_evaluation(EvaluationConfig(["same"], batch_tokens=0), InstructionConfig())


def test_the_engine_of_a_configuration_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: asked.append(name) or "there")
    check_evaluation(EvaluationConfig(["same"], engine="vllm"), InstructionConfig())
    assert asked == ["vllm"]
    check_engine("native")
    assert asked == ["vllm"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="not installed here"):
        check_evaluation(EvaluationConfig(["same"], engine="vllm"), InstructionConfig())


ENDS: Ends = {
    "instructions": ((["same"], []), ("same", [""])),
    "decoding": (("greedy", "constrained", "rank", "rank_normalized", "channel"), ("beam", None)),
    "engine": (("native", "vllm"), ("hf",)),
    "batch_tokens": ((1,), (0, None)),
    "at": (([0, 1.0], []), ([-0.1], [1.1], 0.5)),
    "every_steps": ((1, None), (0,)),
    "every_epochs": ((1e-9, float(2**31 - 1), None), (0.0, 2.0**31)),
    "at_instances": ((1, None), (0,)),
    "cut_wrong_answers": ((True, False), ()),
    "answer_slack": ((0, 7, None), (-1,)),
    "stop": (("token", "line"), ("eos", "", "lines")),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_ends_of_what_each_key_may_be(name: str) -> None:
    check_ends(LIMITS[name], ENDS[name])


def test_thoughts_are_not_cut_off_before_the_answer() -> None:
    thinking = PromptConfig("chat", enable_thinking=True)
    for early in (
        EvaluationConfig(stop="line"), EvaluationConfig(cut_wrong_answers=True), EvaluationConfig(answer_slack=0)
    ):  # fmt: skip
        with pytest.raises(UserError, match=r"prompt.enable_thinking=true: evaluation"):
            check_thinking(early, thinking)
        check_thinking(early, PromptConfig("chat", enable_thinking=False))
    check_thinking(EvaluationConfig(), thinking)
