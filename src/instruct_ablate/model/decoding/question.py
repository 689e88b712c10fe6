"""Questions: distinct prompts as token ids. The same source is asked once, whatever the number of its prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.decoding.answers.answer_bound import answer_limits
from instruct_ablate.model.decoding.answers.label_tree import LabelTree, best, label_tree, walk
from instruct_ablate.model.decoding.answers.references import ReferenceEncoder, References, TokenScores
from instruct_ablate.prompt.prompt import Prediction, Prompt, is_bound
from instruct_ablate.schema import Config, PromptConfig

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One source to answer and the prompts that ask it; `tree` holds the allowed answers, None leaves it free.

    `references` are those whose likelihoods are asked for too; None: only the answer is. `label` stands in a source of
    the channel form: what `references` are worth behind it, the prompts' input, is what the label is worth.
    """

    ids: Ids
    prompts: tuple[Prompt, ...]
    tree: LabelTree | None = None
    references: References | None = None
    label: str | None = None
    limit: int | None = None  # tokens that a written answer may have, its end included; None: bound to labels

    @property
    def most(self) -> int:
        """The tokens that the answer of a question not bound to labels may have."""
        assert self.limit is not None
        return self.limit

    @property
    def task(self) -> str:
        """The task of the first prompt."""
        return self.prompts[0].task

    @property
    def label_tree(self) -> LabelTree:
        """The tree of a question that is bound to choices."""
        assert self.tree is not None
        return self.tree

    def prediction(
        self, prompt: Prompt, text: str, scores: TokenScores | None, cut: bool = False
    ) -> Prediction:
        """Return the answer to one of the prompts, with what the references' token scores come to."""
        if self.references is None or scores is None:
            return Prediction(prompt, text, cut=cut)
        return Prediction(prompt, text, self.references.likelihoods(prompt, scores), cut)

    def choose(self, scores: Sequence[Sequence[float]], decoding: str) -> str:
        """Choose a label by the log-likelihoods of all labels' tokens, under `evaluation.decoding`."""
        if self.label is not None:
            return self.label
        if decoding == "constrained":
            return walk(self.label_tree, scores)
        return best(self.label_tree, scores, normalized=decoding == "rank_normalized")


class Answer(NamedTuple):
    """An answer to a question, with the token scores of its references.

    `cut`: it was written to its greatest length (`Question.most`), and had not ended by then.
    """

    question: Question
    text: str
    scores: TokenScores | None = None
    cut: bool = False


Answers = Iterator[Answer]


def ask(
    prompts: Sequence[Prompt], encoding: Encoding, config: Config, likelihoods: bool = False
) -> list[Question]:
    """Tokenise the distinct sources; under another decoding than greedy, prompts with choices are bound to them."""
    limit = config.prompt.max_target_length
    encoder = ReferenceEncoder(prompts, encoding, limit) if likelihoods else None
    limits = answer_limits(prompts, encoding, config)
    by_source: dict[tuple[str, tuple[str, ...] | None, int | None], list[Prompt]] = {}
    for prompt in prompts:
        if prompt.channel is not None:
            continue
        choices = prompt.choices if is_bound(prompt, config.evaluation.decoding) else None
        most = None if choices else limits[prompt.task]
        by_source.setdefault((prompt.source, choices, most), []).append(prompt)

    @cache
    def tree(choices: tuple[str, ...]) -> LabelTree:
        # One tree for equal choices: neighbours attend together where their tree is the very same (`runs`).
        return label_tree(choices, encoding.targets(choices, limit)[0])

    ids = encoding.sources([source for source, _, _ in by_source], config.prompt.max_source_length)
    return [
        *_turned([prompt for prompt in prompts if prompt.channel], encoding, config.prompt),
        *(
            Question(
                tuple(tokens),
                tuple(same),
                tree(choices) if choices else None,
                encoder.references(same) if encoder else None,
                limit=most,
            )
            for tokens, ((_, choices, most), same) in zip(ids, by_source.items(), strict=True)
        ),
    ]


def _turned(prompts: Sequence[Prompt], encoding: Encoding, config: PromptConfig) -> Iterator[Question]:
    """Ask of each label how likely it makes the input, which has no end: it might go on."""
    asked: dict[tuple[str, str, str], list[Prompt]] = {}
    for prompt in prompts:
        assert prompt.channel is not None
        for label, source in dict(zip(prompt.choices or (), prompt.channel.sources, strict=True)).items():
            asked.setdefault((source, prompt.channel.text, label), []).append(prompt)
    sources = encoding.sources([source for source, _, _ in asked], config.max_source_length)
    targets, _ = encoding.targets([text for _, text, _ in asked], config.max_target_length)
    for ids, target, ((_, text, label), same) in zip(sources, targets, asked.items(), strict=True):
        # An input of one token keeps its end: it alone would be a tree without a node that is read.
        tree = label_tree((text,), (target[:-1] if len(target) > 2 else target,))
        yield Question(
            tuple(ids),
            tuple(same),
            tree,
            References(tree, (len(text.encode(errors="surrogatepass")),)),
            label,
        )


def stop_tokens(model: Any, encoding: Encoding) -> frozenset[int]:
    """Return the tokens that end an answer: those of the encoding and of the generation config."""
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    listed = configured if isinstance(configured, list) else [configured]
    return encoding.ends | {token for token in listed if token is not None}
