"""What the keys of `evaluation` may be: decodings and engines that are there, instructions that can be read."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.label import parse
from instruct_ablate.limits import MANY, any_value, check_limits, number, numbers, one_of, texts, whole
from instruct_ablate.prompt.channel import FORMS
from instruct_ablate.schema import EvaluationConfig, InstructionConfig, PromptConfig

if TYPE_CHECKING:
    from instruct_ablate.tasks.task import Task

DECODINGS = ("greedy", "constrained", "rank", "rank_normalized", "channel")
ENGINES = ("native", "vllm")
STOPS = ("token", "line")
LIMITS = {
    "instructions": texts(),
    "decoding": one_of(DECODINGS),
    "metrics": texts(),
    "engine": one_of(ENGINES),
    "batch_tokens": whole(1),
    "stop": one_of(STOPS),
    "answer_slack": whole(0).or_null("for no such bound"),
    "cut_wrong_answers": any_value(),
    "save_prompts": any_value(),
    "general": any_value(),  # by its own check, `tasks/general.py`
    "at": numbers(0, 1),
    "every_steps": whole(1).or_null("for none"),
    "every_epochs": number(0, MANY, above=True).or_null("for none"),
    "at_instances": whole(1).or_null("for a sample that suits the training"),
}


def check_evaluation(config: EvaluationConfig, trained_on: InstructionConfig) -> None:
    """Refuse what testing could not do: nothing to test on, labels that cannot be read, an engine not there."""
    check_limits("evaluation", config, LIMITS)
    if not config.instructions:
        raise UserError(
            "evaluation.instructions=[]: nothing would be tested; give `same` or labels such as [original,delusive]"
        )
    for given in config.instructions:
        parse(given, trained_on)
    check_engine(config.engine)
    if config.decoding == "channel" and config.engine != "native":
        raise UserError(
            f"evaluation.decoding=channel scores inputs, which evaluation.engine={config.engine} does not. Use "
            "evaluation.engine=native."
        )
    if config.decoding == "channel" and trained_on.num_negative:
        raise UserError(
            f"evaluation.decoding=channel with instruction.num_negative={trained_on.num_negative}: its prompts have no "
            "place for negative examples. Give 0."
        )


def check_engine(name: str) -> None:
    """Refuse an engine whose package is not installed."""
    if name == "vllm" and importlib.util.find_spec("vllm") is None:
        raise lacking_vllm()


def check_channel(tasks: Sequence[Task], prompt: PromptConfig) -> None:
    """Refuse what cannot be turned round so that labels stand before inputs: templates, own prompts, no labels."""
    if prompt.template not in FORMS or prompt.add_task_name:
        named = (
            f"prompt.template={prompt.template}"
            if prompt.template not in FORMS
            else "prompt.add_task_name=true"
        )
        raise UserError(
            f"evaluation.decoding=channel: {named} has no form with the label before the input. "
            f"Choose prompt={', '.join(FORMS)}."
        )
    own = [task.name for task in tasks if task.prompted]
    if own:
        raise UserError(
            f"evaluation.decoding=channel: {own[0]} brings its own prompts, which cannot be turned round so that a "
            "label stands before the input. Use evaluation=rank."
        )
    if not any(task.label_space for task in tasks):
        raise UserError(
            "evaluation.decoding=channel chooses among labels, and no test task has any. Choose tasks with labels "
            "(tasks.test_include, tasks.label_spaces), or use evaluation=greedy."
        )


def check_kind(engine: str, encoder_decoder: bool) -> None:
    """Refuse a kind of model that the engine does not run."""
    if engine == "vllm" and encoder_decoder:
        raise UserError(
            "evaluation.engine=vllm does not run encoder-decoder models. Use evaluation.engine=native."
        )


def check_likelihoods(engine: str, names: Sequence[str], decoding: str = "greedy") -> None:
    """Refuse metrics that read the model where the engine gives answers alone, or references stand in prompts."""
    if decoding == "channel" and names:
        raise UserError(
            f"evaluation.metrics: {', '.join(names)} reads the model's likelihoods of the references, which stand in "
            "the prompts under evaluation.decoding=channel. Use another decoding, such as evaluation=rank."
        )
    if engine == "vllm" and names:
        raise UserError(
            f"evaluation.metrics: {', '.join(names)} reads the model's likelihoods of the references, which "
            "evaluation.engine=vllm does not give. Use evaluation.engine=native."
        )


def lacking_vllm() -> UserError:
    """Say how to get vLLM."""
    return UserError(
        "evaluation.engine=vllm needs the package vllm, which is not installed here. Install it with "
        "`pip install 'instruct-ablate[vllm]'` (a CUDA GPU is needed), or use evaluation.engine=native."
    )


def check_thinking(config: EvaluationConfig, prompt: PromptConfig) -> None:
    """Refuse to end answers early where thinking comes before them."""
    early = {
        "evaluation.stop=line": config.stop == "line",
        f"evaluation.answer_slack={config.answer_slack}": config.answer_slack is not None,
        "evaluation.cut_wrong_answers": config.cut_wrong_answers,
    }
    if prompt.enable_thinking and (key := next((key for key, on in early.items() if on), None)):
        raise UserError(
            f"prompt.enable_thinking=true: {key} ends an answer by its first words, and a model that thinks begins "
            "with its thoughts. Leave out one of the two."
        )
