"""The project's own decoding: batches of questions through packed models, whatever the decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.batch import Batch
from instruct_ablate.model.decode_attention import decoding
from instruct_ablate.model.encoder_decoder import EncoderDecoder
from instruct_ablate.model.family import Family, batches, families
from instruct_ablate.model.greedy import decode_greedily
from instruct_ablate.model.label_tree import token_scores
from instruct_ablate.model.packed_decoder import PackedDecoder
from instruct_ablate.model.question import Question, stop_tokens
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from instruct_ablate.model.checkpoint import Checkpoint

Answers = Iterator[tuple[Question, str]]


def answer(
    checkpoint: Checkpoint,
    questions: Sequence[Question],
    config: Config,
    finished: Callable[[Question], bool],
) -> Answers:
    """Yield answers batch by batch; batches of which all questions are finished are left out.

    Questions bound to choices are scored on their label trees, the others are decoded greedily.
    """
    model = _bare(checkpoint.model)
    parts = ([question for question in questions if question.tree], [q for q in questions if not q.tree])
    with _evaluating(model, checkpoint.encoder_decoder):
        for part in parts:
            found = [Family(0, tuple(range(len(part))))] if checkpoint.encoder_decoder else families(part)
            for batch, places in batches(part, found, config.evaluation.batch_tokens):
                asked = [part[place] for place in places]
                if not all(finished(question) for question in asked):
                    yield from _answer_batch(checkpoint, model, batch, asked, config)


def _answer_batch(
    checkpoint: Checkpoint, model: Any, batch: Batch, asked: Sequence[Question], config: Config
) -> Answers:
    """Answer the questions of one batch."""
    decoder: PackedDecoder | EncoderDecoder
    if checkpoint.start_token is None:
        decoder = PackedDecoder(model, batch)
    else:
        decoder = EncoderDecoder(model, batch, checkpoint.start_token)
    if asked[0].tree is not None:
        with _exact(model):
            scored = decoder.score()
        for question, logits in zip(asked, scored, strict=True):
            yield (
                question,
                question.choose(token_scores(question.label_tree, logits), config.evaluation.decoding),
            )
        return
    stops = stop_tokens(model, Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder))
    for row, tokens in decode_greedily(decoder, stops, config.prompt.max_target_length):
        yield asked[row], str(checkpoint.tokenizer.decode(tokens, skip_special_tokens=True)).strip()


@contextmanager
def _exact(model: Any) -> Iterator[None]:
    """Let the last layer give fp32 logits: in bf16 one in some thirty pairs of labels would tie by rounding."""
    head = model.get_output_embeddings()
    if type(head) is not nn.Linear or head.weight.dtype == torch.float32:
        yield
        return

    def project(layer: nn.Linear, inputs: tuple[torch.Tensor], _: torch.Tensor) -> torch.Tensor:
        bias = None if layer.bias is None else layer.bias.float()
        return F.linear(inputs[0].float(), layer.weight.float(), bias)

    hook = head.register_forward_hook(project)
    try:
        yield
    finally:
        hook.remove()


def _bare(model: Any) -> Any:
    """Return the model inside a peft wrapper; its adapters sit in the layers and act as before."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextmanager
def _evaluating(model: Any, encoder_decoder: bool) -> Iterator[None]:
    """Evaluation mode without gradients; the model's modes are restored, module by module."""
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            if encoder_decoder:
                yield
            else:
                with decoding(model):
                    yield
    finally:
        for module, mode in training.items():
            module.training = mode
