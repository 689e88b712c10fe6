"""References as a model is asked how likely they are: token sequences in the form of training targets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.decoding.answers.label_tree import LabelTree, label_tree
from instruct_ablate.prompt.prompt import Likelihood, Prompt

LOGITS = 2**26  # fp32 numbers of one pass: 256 MiB
TokenScores = Sequence[Sequence[float]]  # the log-likelihood of each token of each text


@dataclass(frozen=True, slots=True)
class References:
    """The distinct references of a source's prompts, their common beginnings merged, with their bytes."""

    tree: LabelTree
    sizes: tuple[int, ...]

    def likelihoods(self, prompt: Prompt, scores: TokenScores) -> tuple[Likelihood, ...]:
        """Return what the model holds of each of a prompt's references."""
        sums = [math.fsum(along) for along in scores]
        every = zip(self.tree.labels, sums, map(len, scores), self.sizes, strict=True)
        known = {text: Likelihood(total, tokens, size) for text, total, tokens, size in every}
        return tuple(known[text] for text in prompt.references)

    def among(self, labels: Sequence[str], scores: TokenScores) -> TokenScores | None:
        """Return the references' scores out of those of labels; None where one is no label."""
        known = dict(zip(labels, scores, strict=True))
        return [known[text] for text in self.tree.labels] if known.keys() >= set(self.tree.labels) else None


class ReferenceEncoder:
    """Tokenises the references of many prompts at once, and builds the trees of those that are asked together."""

    def __init__(self, prompts: Sequence[Prompt], encoding: Encoding, limit: int) -> None:
        texts = list(dict.fromkeys(text for prompt in prompts for text in prompt.references))
        every = zip(texts, *encoding.targets(texts, limit), strict=True)
        # Of a reference that is cut the model is asked for what is left, whose bytes these are then.
        self._known: Mapping[str, tuple[list[int], int]] = {
            text: (ids, _bytes(_decoded(ids, encoding) if cut else text)) for text, ids, cut in every
        }

    def references(self, prompts: Sequence[Prompt]) -> References:
        """Return the references of prompts that share their source."""
        texts = list(dict.fromkeys(text for prompt in prompts for text in prompt.references))
        known = [self._known[text] for text in texts]
        return References(label_tree(texts, [ids for ids, _ in known]), tuple(size for _, size in known))


def _decoded(ids: Sequence[int], encoding: Encoding) -> str:
    """Return the text of a target that was cut, without its end."""
    return str(encoding.tokenizer.decode(ids[:-1], skip_special_tokens=True))


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def parts(trees: Sequence[LabelTree], vocabulary: int, padded: bool = False) -> Iterator[slice]:
    """Cut rows so that the logits of a part, one row of them a node and one a root, stay within bounds."""
    room, start = max(1, LOGITS // vocabulary), 0
    total = widest = 0
    for place, tree in enumerate(trees):
        size, wide = 1 + tree.size, max(widest, 1 + tree.size)
        if place > start and (wide * (place - start + 1) if padded else total + size) > room:
            yield slice(start, place)
            start, total, wide = place, 0, size
        total, widest = total + size, wide
    if trees:
        yield slice(start, len(trees))
