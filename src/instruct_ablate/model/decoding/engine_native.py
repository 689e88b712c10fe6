"""The project's own decoding: batches of questions through packed models, whatever the decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from instruct_ablate.model.adapters import bare
from instruct_ablate.model.decoding import engine_transformers
from instruct_ablate.model.decoding.batch import Batch
from instruct_ablate.model.decoding.decoder_only import PackedDecoder, attending_packed
from instruct_ablate.model.decoding.early_stop import answer_text, early_stop, is_cut
from instruct_ablate.model.decoding.encoder_decoder import EncoderDecoder
from instruct_ablate.model.decoding.greedy import decode_greedily
from instruct_ablate.model.decoding.kept_prompts import KeptPrompts, kept_prompts
from instruct_ablate.model.decoding.label_tree import token_scores
from instruct_ablate.model.decoding.ordered_weights import OrderedWeights
from instruct_ablate.model.decoding.question import Answer, Answers, Question, stop_tokens
from instruct_ablate.model.decoding.references import TokenScores
from instruct_ablate.model.decoding.shared_prefix import Family, batches, families
from instruct_ablate.model.decoding.support import is_packable
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
    notes: list[str] | None = None,
) -> Answers:
    """Yield answers batch by batch; batches of which all questions are finished are left out.

    Questions bound to choices are scored on their label trees, the others are decoded greedily. `notes` takes what was
    met.
    """
    model = bare(checkpoint.model)
    if not is_native(checkpoint):
        yield from engine_transformers.answer(checkpoint, questions, config, finished)
        return
    packed = not checkpoint.encoder_decoder
    kept = cache(lambda: kept_prompts(model, config) if packed else None)
    weights = OrderedWeights(model)
    parts = ([question for question in questions if question.tree], [q for q in questions if not q.tree])
    for part in parts:
        grouped = [Family(0, tuple(range(len(part))))] if checkpoint.encoder_decoder else families(part)
        for batch, places in batches(part, grouped, config.evaluation.batch_tokens):
            members = [part[place] for place in places]
            if all(finished(question) for question in members):
                continue
            decoder = partial(_decoder, checkpoint, model, kept(), weights)
            # Closed before yielding: the caller's code is none of its business.
            with evaluating(model), attending_packed(model) if packed else nullcontext():
                answered = list(_answer_batch(checkpoint, model, batch, members, config, decoder))
            yield from answered
    if notes is not None and kept.cache_info().currsize and (store := kept()) is not None:
        notes += store.notes


def is_native(checkpoint: Checkpoint) -> bool:
    """Whether packed decoding answers; else transformers' own does."""
    return is_packable(bare(checkpoint.model), checkpoint.encoder_decoder)


def way_note(checkpoint: Checkpoint, config: Config) -> str | None:
    """Say where answers come by the slower way, which they are the same by."""
    if config.evaluation.engine != "native" or is_native(checkpoint):
        return None
    kind = bare(checkpoint.model).config.model_type
    return f"answered by transformers' own forward pass, unpacked: packed decoding does not know models of type {kind}"


def _answer_batch(
    checkpoint: Checkpoint,
    model: Any,
    batch: Batch,
    members: Sequence[Question],
    config: Config,
    reading: Callable[[Batch], PackedDecoder | EncoderDecoder],
) -> Answers:
    """Answer the questions of one batch."""
    decoder = reading(batch)
    if members[0].tree is not None:
        with exact_logits(model):
            logits = decoder.score()
        scored = [
            token_scores(question.label_tree, one) for question, one in zip(members, logits, strict=True)
        ]
        known = _among_labels(model, batch, members, scored, reading)
        for question, scores, references in zip(members, scored, known, strict=True):
            yield Answer(question, question.choose(scores, config.evaluation.decoding), references)
        return
    stops = stop_tokens(model, encoding_of(checkpoint, config.prompt))
    early = early_stop(members, checkpoint.tokenizer, config.evaluation)
    asked: list[TokenScores | None] = [None] * len(members)

    def once_read() -> None:
        asked[:] = _reference_scores(model, decoder, members)

    limit = max(question.most for question in members)
    for row, tokens in decode_greedily(decoder, stops, limit, early, once_read):
        text = str(checkpoint.tokenizer.decode(tokens, skip_special_tokens=True))
        cut = is_cut(members[row], tokens, text, config.evaluation)
        yield Answer(members[row], answer_text(text, config.evaluation), asked[row], cut)


def _reference_scores(
    model: Any, decoder: PackedDecoder | EncoderDecoder, members: Sequence[Question]
) -> list[TokenScores | None]:
    """Return the token scores of the references that are asked for, behind rows that are read."""
    trees = [question.references.tree for question in members if question.references is not None]
    if not trees:
        return [None] * len(members)
    with exact_logits(model):
        return [token_scores(tree, logits) for tree, logits in zip(trees, decoder.behind(trees), strict=True)]


def _among_labels(
    model: Any,
    batch: Batch,
    members: Sequence[Question],
    scored: Sequence[TokenScores],
    reading: Callable[[Batch], PackedDecoder | EncoderDecoder],
) -> list[TokenScores | None]:
    """Return the references' token scores out of those of the labels; rows of which one is no label are read again."""
    found = [
        question.references.among(question.label_tree.labels, scores) if question.references else None
        for question, scores in zip(members, scored, strict=True)
    ]
    others = [place for place, one in enumerate(members) if one.references and found[place] is None]
    if others:
        rows = tuple(replace(batch.rows[at], tree=None) for at in others)
        decoder = reading(replace(batch, rows=rows))
        decoder.prefill(0)
        again = _reference_scores(model, decoder, [members[at] for at in others])
        for at, scores in zip(others, again, strict=True):
            found[at] = scores
    return found


def _decoder(
    checkpoint: Checkpoint, model: Any, kept: KeptPrompts | None, weights: OrderedWeights, batch: Batch
) -> PackedDecoder | EncoderDecoder:
    start = checkpoint.start_token
    if start is None:
        return PackedDecoder(model, batch, kept, weights)
    return EncoderDecoder(model, batch, start, weights)
