"""The project's own decoding: batches of questions through packed models, whatever the decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.adapters import bare
from instruct_ablate.model.decoding import engine_transformers
from instruct_ablate.model.decoding.batch import Batch
from instruct_ablate.model.decoding.decoder_only import PackedDecoder
from instruct_ablate.model.decoding.early_stop import stop_when_lost
from instruct_ablate.model.decoding.encoder_decoder import EncoderDecoder
from instruct_ablate.model.decoding.greedy import decode_greedily
from instruct_ablate.model.decoding.label_tree import token_scores
from instruct_ablate.model.decoding.question import Question, stop_tokens
from instruct_ablate.model.decoding.shared_prefix import Family, batches, families
from instruct_ablate.model.decoding.support import is_packable
from instruct_ablate.model.modes import evaluating
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from instruct_ablate.model.loading.checkpoint import Checkpoint

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
    model = bare(checkpoint.model)
    if not is_packable(
        model, checkpoint.encoder_decoder, config.prompt.max_source_length + config.prompt.max_target_length
    ):
        yield from engine_transformers.answer(checkpoint, questions, config, finished)
        return
    parts = ([question for question in questions if question.tree], [q for q in questions if not q.tree])
    for part in parts:
        grouped = [Family(0, tuple(range(len(part))))] if checkpoint.encoder_decoder else families(part)
        for batch, places in batches(part, grouped, config.evaluation.batch_tokens):
            members = [part[place] for place in places]
            if all(finished(question) for question in members):
                continue
            with evaluating(model):  # closed before yielding: the caller's code is none of its business
                answered = list(_answer_batch(checkpoint, model, batch, members, config))
            yield from answered


def _answer_batch(
    checkpoint: Checkpoint, model: Any, batch: Batch, members: Sequence[Question], config: Config
) -> Answers:
    """Answer the questions of one batch."""
    start = checkpoint.start_token
    decoder = PackedDecoder(model, batch) if start is None else EncoderDecoder(model, batch, start)
    if members[0].tree is not None:
        with _exact(model):
            scored = decoder.score()
        for question, logits in zip(members, scored, strict=True):
            yield (
                question,
                question.choose(token_scores(question.label_tree, logits), config.evaluation.decoding),
            )
        return
    stops = stop_tokens(model, Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder))
    cut = stop_when_lost(members, checkpoint.tokenizer) if config.evaluation.cut_wrong_answers else None
    for row, tokens in decode_greedily(decoder, stops, config.prompt.max_target_length, cut):
        yield members[row], str(checkpoint.tokenizer.decode(tokens, skip_special_tokens=True)).strip()


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
