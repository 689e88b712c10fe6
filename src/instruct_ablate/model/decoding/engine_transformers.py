"""Decoding with transformers' own `generate`, for architectures that the packed decoders do not know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from instruct_ablate.model.adapters import bare
from instruct_ablate.model.decoding.answers.label_tree import LabelTree
from instruct_ablate.model.decoding.answers.references import TokenScores
from instruct_ablate.model.decoding.early_stop import text_written
from instruct_ablate.model.decoding.question import Answer, Answers, Question, stop_tokens
from instruct_ablate.model.loading.tokenizer import encoding_of
from instruct_ablate.model.modes import evaluating, exact_logits
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from instruct_ablate.model.loading.checkpoint import Checkpoint


def answer(
    checkpoint: Checkpoint,
    questions: Sequence[Question],
    config: Config,
    finished: Callable[[Question], bool],
) -> Answers:
    """Yield answers, questions of equal length together, so that nothing is padded."""
    for members in _equal(questions, config.evaluation.batch_tokens):
        if all(finished(question) for question in members):
            continue
        with evaluating(checkpoint.model):
            texts = _answer_batch(checkpoint, members, config)
            asked = _reference_scores(checkpoint, members)
        for question, (text, cut), scores in zip(members, texts, asked, strict=True):
            yield Answer(question, text, scores, cut)


def _answer_batch(
    checkpoint: Checkpoint, members: Sequence[Question], config: Config
) -> list[tuple[str, bool]]:
    """Answer questions of equal length, and say of each answer whether it is cut."""
    ids = torch.tensor([question.ids for question in members], device=checkpoint.model.device)
    if members[0].tree is None:
        return _generate(checkpoint, ids, members, config)
    scored = [_score(checkpoint, source, one.label_tree) for source, one in zip(ids, members, strict=True)]
    decoding = config.evaluation.decoding
    return [(one.choose(scores, decoding), False) for one, scores in zip(members, scored, strict=True)]


def _reference_scores(checkpoint: Checkpoint, members: Sequence[Question]) -> list[TokenScores | None]:
    """Return the token scores of the references that are asked for, one forward pass each."""
    if not any(question.references for question in members):
        return [None] * len(members)
    ids = torch.tensor([question.ids for question in members], device=checkpoint.model.device)
    with exact_logits(bare(checkpoint.model)):
        return [
            None if question.references is None else _score(checkpoint, source, question.references.tree)
            for source, question in zip(ids, members, strict=True)
        ]


def _equal(questions: Sequence[Question], tokens: int) -> Iterator[list[Question]]:
    """Join questions of equal length; each one that is bound to choices stands alone."""
    batch: list[Question] = []
    for question in sorted(questions, key=lambda one: (one.tree is not None, len(one.ids))):
        alike = batch and question.tree is None and len(batch[0].ids) == len(question.ids)
        if batch and not (alike and len(question.ids) * (len(batch) + 1) <= tokens):
            yield batch
            batch = []
        batch.append(question)
    if batch:
        yield batch


def _generate(
    checkpoint: Checkpoint, ids: Tensor, members: Sequence[Question], config: Config
) -> list[tuple[str, bool]]:
    """Decode greedily, each row up to its limit."""
    model: Any = checkpoint.model
    stops = stop_tokens(model, encoding_of(checkpoint, config.prompt))
    # Nothing is forced: BART's targets have no `<s>` of their own in training, and so none here.
    written = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, num_beams=1, eos_token_id=sorted(stops),
        max_new_tokens=max(question.most for question in members), pad_token_id=checkpoint.tokenizer.pad_token_id,
        decoder_start_token_id=checkpoint.start_token, forced_bos_token_id=None, forced_eos_token_id=None,
    )  # fmt: skip
    # `generate` returns what it began with, too: the start token, or the prompt.
    answers = written[:, 1 if checkpoint.encoder_decoder else ids.shape[1] :].tolist()
    return [
        text_written(question, answer, stops, checkpoint.tokenizer, config.evaluation)
        for question, answer in zip(members, answers, strict=True)
    ]


def _score(checkpoint: Checkpoint, source: Tensor, tree: LabelTree) -> list[list[float]]:
    """Return the log-likelihoods of the labels' tokens, one forward pass per label."""
    labels = [source.new_tensor([token for _, token in path]) for path in tree.paths]
    return [_along(checkpoint, source, label) for label in labels]


def _along(checkpoint: Checkpoint, source: Tensor, label: Tensor) -> list[float]:
    """Return the log-likelihood of each token of one label."""
    if checkpoint.encoder_decoder:
        before = torch.cat([label.new_tensor([checkpoint.start_token]), label[:-1]])
        logits = checkpoint.model(input_ids=source[None], decoder_input_ids=before[None]).logits[0]
    else:
        logits = checkpoint.model(input_ids=torch.cat([source, label[:-1]])[None]).logits[
            0, len(source) - 1 :
        ]
    scores: list[float] = logits.float().log_softmax(-1).gather(1, label[:, None])[:, 0].tolist()
    return scores
