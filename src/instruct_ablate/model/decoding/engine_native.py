"""The project's own decoding: batches of questions through packed models, whatever the decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from instruct_ablate.model.adapters import bare
from instruct_ablate.model.decoding import engine_transformers
from instruct_ablate.model.decoding.answers.label_tree import token_scores
from instruct_ablate.model.decoding.answers.references import TokenScores
from instruct_ablate.model.decoding.early_stop import answer_text, early_stop, is_cut
from instruct_ablate.model.decoding.greedy import WHOLE, Part, decode_greedily
from instruct_ablate.model.decoding.layers.batch import Batch
from instruct_ablate.model.decoding.layers.decoder_only import PackedDecoder, attending_packed
from instruct_ablate.model.decoding.layers.encoder_decoder import EncoderDecoder
from instruct_ablate.model.decoding.layers.kept_prompts import KeptPrompts, kept_prompts
from instruct_ablate.model.decoding.layers.left_rows import JoinedDecoder, JoinedEncoderDecoder
from instruct_ablate.model.decoding.layers.ordered_weights import OrderedWeights
from instruct_ablate.model.decoding.question import Answer, Answers, Question, stop_tokens
from instruct_ablate.model.decoding.shared_prefix import Family, batches, families
from instruct_ablate.model.decoding.support import is_packable
from instruct_ablate.model.decoding.tails import GROUP, Tails
from instruct_ablate.model.loading.tokenizer import encoding_of
from instruct_ablate.model.modes import evaluating, exact_logits
from instruct_ablate.prompt.prompt import Prompt, is_bound
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
    """Yield answers batch by batch; groups of batches of which all questions are finished are left out.

    Questions bound to choices are scored on their label trees, each batch for itself; the others are decoded greedily,
    and the last rows of a group's batches go on together (`Tails`). `notes` takes what was met.
    """
    model = bare(checkpoint.model)
    if not is_native(checkpoint):
        yield from engine_transformers.answer(checkpoint, questions, config, finished)
        return
    asking = _Asking(checkpoint, model, config, OrderedWeights(model))
    bound, free = (
        [one for one in questions if (one.tree is not None) == is_bound] for is_bound in (True, False)
    )
    for part, size in ((bound, 1), (free, GROUP)):
        grouped = [Family(0, tuple(range(len(part))))] if checkpoint.encoder_decoder else families(part)
        made = batches(part, grouped, config.evaluation.batch_tokens)
        while group := list(islice(made, size)):
            members = [[part[place] for place in places] for _, places in group]
            if all(finished(question) for some in members for question in some):
                continue
            tails = Tails(config.evaluation.batch_tokens, len(group))
            for (batch, _), some in zip(group, members, strict=True):
                yield from asking.closed(asking.of_batch(batch, some, tails))
            if tails.members:
                yield from asking.closed(asking.of_tails(tails))
    if notes is not None:
        notes += asking.notes


def is_native(checkpoint: Checkpoint) -> bool:
    """Whether packed decoding answers; else transformers' own does."""
    return is_packable(bare(checkpoint.model), checkpoint.encoder_decoder)


def together(checkpoint: Checkpoint, config: Config, prompts: Sequence[Prompt]) -> int:
    """Return of how many batches the last written answers go on together.

    1 where answers come by another way, or where all of them are chosen among labels.
    """
    written = any(not is_bound(prompt, config.evaluation.decoding) for prompt in prompts)
    return GROUP if written and config.evaluation.engine == "native" and is_native(checkpoint) else 1


def way_note(checkpoint: Checkpoint, config: Config) -> str | None:
    """Say where answers come by the slower way, which they are the same by."""
    if config.evaluation.engine != "native" or is_native(checkpoint):
        return None
    kind = bare(checkpoint.model).config.model_type
    return f"answered by transformers' own forward pass, unpacked: packed decoding does not know models of type {kind}"


@dataclass(frozen=True)
class _Asking:
    """What answers the batches of one test; `weights` serve one after the other."""

    checkpoint: Checkpoint
    model: Any
    config: Config
    weights: OrderedWeights

    @cached_property
    def kept(self) -> KeptPrompts | None:
        """Where what the lowest layers make of prompts is kept."""
        return None if self.checkpoint.encoder_decoder else kept_prompts(self.model, self.config)

    @property
    def notes(self) -> list[str]:
        """What was met."""
        return self.kept.notes if "kept" in vars(self) and self.kept is not None else []

    def closed(self, answers: Answers) -> list[Answer]:
        """Return all answers of a batch: the caller's code is none of its business."""
        # Attention is swapped once a batch: to look at every module again is felt in a step of few rows.
        packed = not self.checkpoint.encoder_decoder
        with evaluating(self.model), attending_packed(self.model) if packed else nullcontext():
            return list(answers)

    def of_batch(self, batch: Batch, members: Sequence[Question], tails: Tails) -> Answers:
        """Answer the questions of one batch, but for those whose rows wait in `tails`."""
        decoder = self._reading(batch)
        if members[0].tree is not None:
            with exact_logits(self.model):
                logits = decoder.score()
            scored = [
                token_scores(question.label_tree, one) for question, one in zip(members, logits, strict=True)
            ]
            known = self._among_labels(batch, members, scored)
            for question, scores, references in zip(members, scored, known, strict=True):
                yield Answer(question, question.choose(scores, self.config.evaluation.decoding), references)
            return
        asked: list[TokenScores | None] = [None] * len(members)

        def once_read() -> None:
            # In place: the answers to come, and the rows that wait in `tails`, hold this very list.
            asked[:] = self._reference_scores(decoder, members)

        yield from self._written(decoder, members, asked, once_read, tails.of(decoder, members, asked))

    def of_tails(self, tails: Tails) -> Answers:
        """Answer what a group's batches have left."""
        kind = JoinedEncoderDecoder if self.checkpoint.encoder_decoder else JoinedDecoder
        decoder = kind(self.model, tails.parts, [tokens[-1] for tokens in tails.written], self.weights)
        yield from self._written(decoder, tails.members, tails.asked, part=Part(tails.written))

    def _reading(self, batch: Batch) -> PackedDecoder | EncoderDecoder:
        start = self.checkpoint.start_token
        if start is None:
            return PackedDecoder(self.model, batch, self.kept, self.weights)
        return EncoderDecoder(self.model, batch, start, self.weights)

    def _written(
        self,
        decoder: PackedDecoder | EncoderDecoder,
        members: Sequence[Question],
        asked: Sequence[TokenScores | None],
        once_read: Callable[[], None] = lambda: None,
        part: Part = WHOLE,
    ) -> Answers:
        """Decode a decoder's rows greedily, one of `members` each; `asked`: the token scores of their references."""
        tokenizer, evaluation = self.checkpoint.tokenizer, self.config.evaluation
        stops = stop_tokens(self.model, encoding_of(self.checkpoint, self.config.prompt))
        early = early_stop(members, tokenizer, evaluation)
        limit = max(question.most for question in members)
        for row, tokens in decode_greedily(decoder, stops, limit, early, once_read, part):
            text = str(tokenizer.decode(tokens, skip_special_tokens=True))
            cut = is_cut(members[row], tokens, text, evaluation)
            yield Answer(members[row], answer_text(text, evaluation), asked[row], cut)

    def _reference_scores(
        self, decoder: PackedDecoder | EncoderDecoder, members: Sequence[Question]
    ) -> list[TokenScores | None]:
        """Return the token scores of the references that are asked for, behind rows that are read."""
        trees = [question.references.tree for question in members if question.references is not None]
        if not trees:
            return [None] * len(members)
        with exact_logits(self.model):
            return [
                token_scores(tree, logits) for tree, logits in zip(trees, decoder.behind(trees), strict=True)
            ]

    def _among_labels(
        self, batch: Batch, members: Sequence[Question], scored: Sequence[TokenScores]
    ) -> list[TokenScores | None]:
        """Return the references' token scores out of the labels'; rows of which one is no label are read again."""
        found = [
            question.references.among(question.label_tree.labels, scores) if question.references else None
            for question, scores in zip(members, scored, strict=True)
        ]
        others = [place for place, one in enumerate(members) if one.references and found[place] is None]
        if others:
            rows = tuple(replace(batch.rows[at], tree=None) for at in others)
            decoder = self._reading(replace(batch, rows=rows))
            decoder.prefill(0)
            again = self._reference_scores(decoder, [members[at] for at in others])
            for at, scores in zip(others, again, strict=True):
                found[at] = scores
        return found
