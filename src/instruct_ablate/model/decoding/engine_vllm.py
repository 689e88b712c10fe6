"""Decoding with vLLM on a GPU (`evaluation.engine=vllm`): the same questions and answers, its own kernels."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from instruct_ablate.model.decoding.early_stop import answer_text, before_end, is_cut, text_written
from instruct_ablate.model.decoding.question import Answer, Answers, Question, stop_tokens
from instruct_ablate.model.decoding.settings import check_kind, lacking_vllm
from instruct_ablate.model.export import write_checkpoint
from instruct_ablate.model.loading.tokenizer import encoding_of
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from instruct_ablate.model.loading.checkpoint import Checkpoint

BLOCK = 2048  # questions handed over at once; what is finished is written before the next block starts


def answer(
    checkpoint: Checkpoint,
    questions: Sequence[Question],
    config: Config,
    finished: Callable[[Question], bool],
    notes: list[str] | None = None,
) -> Answers:
    """Yield answers block by block; there is nothing to note.

    Labels are scored through prompt log-probabilities, on shared prefixes.
    """
    vllm = _vllm()
    check_kind("vllm", checkpoint.encoder_decoder)
    open_questions = [question for question in questions if not finished(question)]
    if not open_questions:  # to start an engine takes a minute
        return
    with tempfile.TemporaryDirectory(prefix="instruct-ablate-") as folder, _room_for_engine(checkpoint.model):
        engine = _engine(vllm, checkpoint, config, Path(folder))
        for start in range(0, len(open_questions), BLOCK):
            block = open_questions[start : start + BLOCK]
            yield from _free(vllm, engine, [one for one in block if one.tree is None], checkpoint, config)
            yield from _bound(vllm, engine, [one for one in block if one.tree is not None], config)
        del engine  # its memory is the model's again


def _vllm() -> Any:
    """Import vLLM, or say how to get it."""
    try:
        import vllm
    except ImportError as error:
        raise lacking_vllm() from error
    return vllm


@contextmanager
def _room_for_engine(model: Any) -> Iterator[None]:
    """Take a model off its GPU while this lasts, with what training left reserved there.

    vLLM takes nine tenths of a GPU's memory for itself, and refuses to start where so much is not free.
    """
    device = model.device
    if device.type != "cuda":
        yield
        return
    model.to("cpu")
    gc.collect()
    torch.cuda.empty_cache()
    try:
        yield
    finally:
        gc.collect()
        model.to(device)


def _engine(vllm: Any, checkpoint: Checkpoint, config: Config, folder: Path) -> Any:
    """Load the weights as they are now."""
    write_checkpoint(checkpoint, folder)
    model = checkpoint.model
    # No prompt with its answer is longer; by itself vLLM plans for the longest that the model takes.
    room = config.prompt.max_source_length + config.prompt.max_target_length
    return vllm.LLM(
        model=str(folder), dtype=str(model.dtype).removeprefix("torch."), max_model_len=room, seed=config.seed,
        enable_prefix_caching=True, trust_remote_code=config.model.trust_remote_code,
    )  # fmt: skip


def _free(
    vllm: Any, engine: Any, questions: Sequence[Question], checkpoint: Checkpoint, config: Config
) -> Answers:
    """Decode greedily."""
    stops = sorted(stop_tokens(checkpoint.model, encoding_of(checkpoint, config.prompt)))
    sampling = [
        vllm.SamplingParams(temperature=0.0, max_tokens=question.most, stop_token_ids=stops)
        for question in questions
    ]
    prompts = [{"prompt_token_ids": list(question.ids)} for question in questions]
    for question, output in zip(questions, engine.generate(prompts, sampling), strict=True):
        tokens = [int(token) for token in output.outputs[0].token_ids]
        if config.evaluation.cut_wrong_answers:
            text, cut = text_written(question, tokens, stops, checkpoint.tokenizer, config.evaluation)
        else:  # as vLLM's own detokeniser has written it
            whole = str(output.outputs[0].text)
            text = answer_text(whole, config.evaluation)
            cut = is_cut(question, before_end(question, tokens, stops), whole, config.evaluation)
        yield Answer(question, text, cut=cut)


def _bound(vllm: Any, engine: Any, questions: Sequence[Question], config: Config) -> Answers:
    """Score every label as a continuation of its source."""
    # 0: those of the prompt's own tokens alone. vLLM writes one token at least, which nobody reads.
    sampling = vllm.SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0)
    labels = [[token for _, token in path] for question in questions for path in question.label_tree.paths]
    sources = [question.ids for question in questions for _ in question.label_tree.paths]
    prompts = [{"prompt_token_ids": [*source, *label]} for source, label in zip(sources, labels, strict=True)]
    outputs = iter(zip(labels, engine.generate(prompts, sampling), strict=True))
    for question in questions:
        scores = []
        for _ in question.label_tree.paths:
            label, output = next(outputs)
            logprobs = output.prompt_logprobs[-len(label) :]
            scores.append([float(at[token].logprob) for at, token in zip(logprobs, label, strict=True)])
        yield Answer(question, question.choose(scores, config.evaluation.decoding))
