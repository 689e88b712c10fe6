"""The metrics that every prediction is scored by: Tk-Instruct's protocol, and what Kung & Peng read beside it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from instruct_ablate.metrics.registry import metric
from instruct_ablate.normalisation import classes, is_answerable, label_form, normalised, strict
from instruct_ablate.tasks.task import Kind, WordRule

LABELS: tuple[Kind, ...] = ("classification",)


@metric("exact_match", "exact\nmatch", kinds=LABELS)
def exact_match(prediction: str, references: Sequence[str]) -> float:
    """Whether a prediction equals any reference once both are normalised."""
    said = normalised(prediction)
    return float(any(said == normalised(reference) for reference in references))


@metric("strict_exact_match", "strict\nmatch", kinds=LABELS)
def strict_exact_match(prediction: str, references: Sequence[str]) -> float:
    """Whether a prediction equals any reference letter for letter: case and punctuation count."""
    said = strict(prediction)
    return float(any(said == strict(reference) for reference in references))


@metric("rouge1", "ROUGE-1", reads="word_rule")
def rouge1(prediction: str, references: Sequence[str], word_rule: WordRule = "latin") -> float:
    """ROUGE-1 F-measure with stemming, the best over the references."""
    from instruct_ablate.metrics.rouge import best_rouge  # its libraries are not for reports to import

    return best_rouge(prediction, tuple(references), word_rule)[0]


@metric("rougeL", "ROUGE-L", reads="word_rule")
def rouge_l(prediction: str, references: Sequence[str], word_rule: WordRule = "latin") -> float:
    """ROUGE-L F-measure with stemming, the best over the references."""
    from instruct_ablate.metrics.rouge import best_rouge

    return best_rouge(prediction, tuple(references), word_rule)[1]


@metric("format_correctness", "format\ncorrect", kinds=LABELS, reads="label_space")
def format_correctness(prediction: str, references: Sequence[str], label_space: Sequence[str]) -> float:
    """Whether a prediction is a label letter for letter, as in Kung & Peng's format analysis.

    A label space has one spelling of each label; the instance's own reference may have another ("his" for "His").
    """
    said = strict(prediction)
    if any(said == strict(label) for label in label_space):
        return 1.0
    spelt = (reference for reference in references if said == strict(reference))
    return float(any(label_form(one) in map(label_form, label_space) for one in spelt))


@metric("uniform_guess", "uniform\nguess", kinds=LABELS, reads="label_space")
def uniform_guess(prediction: str, references: Sequence[str], label_space: Sequence[str]) -> float:
    """The chance that a uniform guess over the labels meets one right label; labels that exact match merges are one.

    Where no label is a reference (94 of task304's 100 instances), no guess is right. Where several are (one instance of
    the 5,800 official ones), it is the chance of one of them all the same.
    """
    return guess_chance(label_space) if is_answerable(label_space, references) else 0.0


@metric("consistency_over_tests", "agreement\nof tests", reads="tests")
def consistency_over_tests(predictions: Sequence[str], references: Sequence[str]) -> float | None:
    """The share of pairs of test instructions under which a cell's predictions of an instance are equal."""
    return consistency(predictions, references)


@metric("consistency_over_templates", "agreement\nof templates", reads="templates")
def consistency_over_templates(predictions: Sequence[str], references: Sequence[str]) -> float | None:
    """The share of pairs of templates under which a cell's predictions of an instance are equal."""
    return consistency(predictions, references)


@metric("consistency", "agreement\nof seeds", reads="cells")
def consistency(predictions: Sequence[str], references: Sequence[str]) -> float | None:
    """The share of pairs of seeds whose predictions of an instance are equal once normalised."""
    pairs = list(combinations([normalised(text) for text in predictions], 2))
    return sum(one == other for one, other in pairs) / len(pairs) if pairs else None


def guess_chance(label_space: Sequence[str]) -> float:
    """Return the chance, in [0, 1], of a uniform guess over the labels that exact match can tell apart."""
    return 1 / len(classes(label_space))
