"""What each built-in variant promises, checked on a task before and after."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from instruct_ablate.instruction.content import DROPPED
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.definitions import IRRELEVANT, label_list
from instruct_ablate.instruction.examples import WORDS
from instruct_ablate.instruction.noise import STOP_WORDS, meant_words, share, spelled
from instruct_ablate.instruction.sentences import SENTENCES
from instruct_ablate.instruction.variant import Variant
from instruct_ablate.instruction.words.options import own_options
from instruct_ablate.instruction.words.outputs import distinct, outputs, right_answers
from instruct_ablate.normalisation import label_form
from instruct_ablate.plural import counted
from instruct_ablate.tasks.task import Task

Promise = Callable[[Task, Task, Context], Iterator[str]]
PROMISES: dict[tuple[str, str], Promise] = {}


def promise(slot: str, *names: str) -> Callable[[Promise], Promise]:
    """Register what the variants of these names promise."""

    def register(function: Promise) -> Promise:
        PROMISES.update({(slot, name): function for name in names})
        return function

    return register


def broken(variant: Variant, before: Task, after: Task, context: Context) -> list[str]:
    """Return the promises that the variant broke: one field at most differs, and what it says of itself."""
    allowed = ("instances",) if before.prompted else variant.changes
    differing = [f.name for f in fields(Task) if getattr(before, f.name) != getattr(after, f.name)]
    faults = [f"changes {name}" for name in differing if name not in allowed]
    told = PROMISES.get((variant.slot, variant.name))
    return faults + (list(told(before, after, context)) if told and not before.prompted else [])


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _is_subsequence(short: list[str], long: list[str]) -> bool:
    rest = iter(long)
    return all(word in rest for word in short)


@promise("definition", "original")
def _same_definition(before: Task, after: Task, _: Context) -> Iterator[str]:
    if before != after:
        yield "differs from the original"


@promise("definition", "empty", "response_only")
def _no_definition(before: Task, after: Task, _: Context) -> Iterator[str]:
    if after.definition:
        yield "still has a definition"


@promise("definition", "simplified")
def _only_labels(before: Task, after: Task, _: Context) -> Iterator[str]:
    allowed = set(_words(" ".join((*(before.label_space or ()), "label" if before.label_space else ""))))
    leaked = [word for word in _words(after.definition) if word not in allowed]
    if leaked:
        yield f"leaks words outside the label space: {', '.join(sorted(set(leaked)))}"
    missing = [label for label in distinct(before.label_space or ()) if label not in after.definition]
    if missing:
        yield f"does not name the labels {missing}"


@promise("definition", "shuffled")
def _same_words(before: Task, after: Task, _: Context) -> Iterator[str]:
    if Counter(before.definition.split()) != Counter(after.definition.split()):
        yield "the multiset of words differs"
    if len(set(before.definition.split())) > 1 and before.definition.split() == after.definition.split():
        yield "the order of words is unchanged"


@promise("definition", "deleted")
def _words_gone(before: Task, after: Task, context: Context) -> Iterator[str]:
    yield from _counted(before, after, context, -1)
    if not _is_subsequence(after.definition.split(), before.definition.split()):
        yield "is no part of the original"


@promise("definition", "inserted")
def _words_more(before: Task, after: Task, context: Context) -> Iterator[str]:
    yield from _counted(before, after, context, 1)
    if not _is_subsequence(before.definition.split(), after.definition.split()):
        yield "lost words of the original"


@promise("definition", "replaced")
def _words_replaced(before: Task, after: Task, context: Context) -> Iterator[str]:
    yield from _counted(before, after, context, 0)
    pairs = zip(before.definition.split(), after.definition.split(), strict=False)
    if sum(a != b for a, b in pairs) != _share(before, context):
        yield "another number of words than the rate says was replaced"


@promise("definition", "misspelled")
def _words_misspelt(before: Task, after: Task, context: Context) -> Iterator[str]:
    yield from _counted(before, after, context, 0)
    own = before.definition.split()
    pairs = [(a, b) for a, b in zip(own, after.definition.split(), strict=False) if a != b]
    if len(pairs) != min(_share(before, context), len(spelled(own))):
        yield "another number of words than the rate says was misspelt"
    yield from (f"made {b!r} of {a!r}" for a, b in pairs if abs(len(a) - len(b)) > 1 or set(b) - set(a))


def _share(task: Task, context: Context) -> int:
    return share(task.definition.split(), context)


def _counted(before: Task, after: Task, context: Context, sign: int) -> Iterator[str]:
    expected = len(before.definition.split()) + sign * _share(before, context)
    if len(after.definition.split()) != expected:
        yield f"has {len(after.definition.split())} words, expected {expected}"


@promise("definition", "no_stop_words")
def _no_function_words(before: Task, after: Task, _: Context) -> Iterator[str]:
    meant = {word for word, spoken_of in meant_words(before) if spoken_of}
    words = {word.strip(string.punctuation).lower() for word in after.definition.split() if word not in meant}
    left = words & STOP_WORDS
    if left:
        yield f"keeps the stop words {', '.join(sorted(left))}"
    if not _is_subsequence(after.definition.split(), before.definition.split()):
        yield "is no part of the original"


@promise("definition", *DROPPED)
def _segments_gone(before: Task, after: Task, _: Context) -> Iterator[str]:
    if not _is_subsequence(_words(after.definition), _words(before.definition)):
        yield "is no part of the original"
    if after.definition and not re.search(r"\w{2}|\d", after.definition):
        yield f"leaves {after.definition!r} alone"


@promise("definition", "irrelevant")
def _about_nothing(before: Task, after: Task, _: Context) -> Iterator[str]:
    if after.definition not in IRRELEVANT:
        yield "is none of the irrelevant sentences"


@promise("definition", *SENTENCES)
def _labels_stay(before: Task, after: Task, _: Context) -> Iterator[str]:
    sentence = after.definition.removesuffix(label_list(before.label_space or ())).rstrip()
    if not any(sentence in sentences for sentences in SENTENCES.values()):
        yield "is none of the sentences, with the task's labels"


@promise("definition", "misleading", "misleading_moderate", "misleading_extreme")
def _of_another(before: Task, after: Task, context: Context) -> Iterator[str]:
    if label_form(after.definition) == label_form(before.definition):
        yield "is the task's own definition"
    if all(other.definition != after.definition for other in context.tasks):
        yield "is no other task's definition"


@promise("definition", "task_name")
def _the_name(before: Task, after: Task, _: Context) -> Iterator[str]:
    if not after.definition or after.definition.replace(" ", "") not in before.name.replace("_", ""):
        yield "is not the task's name"


@promise("examples", "original")
def _same_examples(before: Task, after: Task, _: Context) -> Iterator[str]:
    if before != after:
        yield "differs from the original"


@promise("examples", "empty")
def _no_examples(before: Task, after: Task, _: Context) -> Iterator[str]:
    if after.positive_examples:
        yield "still has examples"


def _outside(before: Task, after: Task) -> Iterator[str]:
    space = set(outputs(before)) if before.label_space is not None else None
    own = {option for e in before.positive_examples for option in own_options(e, before.label_space)}
    for example in after.positive_examples:
        if space is not None and example.output not in space | own:
            yield f"the output {example.output!r} is outside the output space"


@promise("examples", "delusive")
def _own_negatives(before: Task, after: Task, context: Context) -> Iterator[str]:
    own = [(e.input, e.output) for e in before.negative_examples if e.output.strip()]
    shown = [(e.input, e.output) for e in after.positive_examples]
    if shown[: len(own)] != own[: len(shown)]:
        yield "is not the task's own negative examples, as they stand"
    rest = after.positive_examples[len(own) :]
    yield from _wrong(before, replace(after, positive_examples=rest))
    yield from _as_many(before, after, context)


@promise("examples", "delusive_mended")
def _all_wrong(before: Task, after: Task, context: Context) -> Iterator[str]:
    yield from _wrong(before, after)
    yield from _as_many(before, after, context)


def _as_many(before: Task, after: Task, context: Context) -> Iterator[str]:
    wanted = min(context.num_positive, len(before.positive_examples))
    if not wanted <= len(after.positive_examples) <= len(before.positive_examples):
        yield f"{counted(len(after.positive_examples), 'wrong example')} for {len(before.positive_examples)} right ones"


def _wrong(before: Task, after: Task) -> Iterator[str]:
    yield from _outside(before, after)
    for example in after.positive_examples:
        if label_form(example.output) in right_answers(before, example.input):
            yield f"the output {example.output!r} is right"
        if not example.input.strip() or not example.output.strip():
            yield "an example is blank"


@promise("examples", "random_english_words")
def _words_for_labels(before: Task, after: Task, _: Context) -> Iterator[str]:
    if [e.input for e in before.positive_examples] != [e.input for e in after.positive_examples]:
        yield "the inputs differ"
    if any(example.output not in WORDS for example in after.positive_examples):
        yield "an output is no word of the list"


@promise("examples", "random_labels", "random_true_distribution")
def _drawn(before: Task, after: Task, _: Context) -> Iterator[str]:
    yield from _outside(before, after)
    if [e.input for e in before.positive_examples] != [e.input for e in after.positive_examples]:
        yield "the inputs differ"


@promise("examples", "permuted_labels")
def _permuted(before: Task, after: Task, context: Context) -> Iterator[str]:
    yield from _drawn(before, after, context)
    yield from _wrong(before, after)


@promise("examples", "partly_correct")
def _share_right(before: Task, after: Task, context: Context) -> Iterator[str]:
    shown = before.positive_examples[: context.num_positive]
    right = sum(label_form(e.output) in right_answers(before, e.input) for e in after.positive_examples)
    if right != round(context.correct * len(shown)):
        yield f"{right} of {len(shown)} examples are right"
    yield from _outside(before, after) if before.label_space and context.correct == 0 else ()


@promise("examples", "outputs_only", "inputs_only")
def _one_part(before: Task, after: Task, _: Context) -> Iterator[str]:
    if any(example.input and example.output for example in after.positive_examples):
        yield "an example still has both parts"
    if len(before.positive_examples) != len(after.positive_examples):
        yield "the number of examples differs"


@promise("examples", "ood_inputs")
def _strange_inputs(before: Task, after: Task, _: Context) -> Iterator[str]:
    yield from _outside(before, after)
    if len(before.positive_examples) != len(after.positive_examples):
        yield "the number of examples differs"
    known = {e.input for e in before.positive_examples} | {i.input for i in before.instances}
    if any(e.input in known for e in after.positive_examples):
        yield "an input is the task's own"


@promise("examples", "permuted")
def _same_set(before: Task, after: Task, _: Context) -> Iterator[str]:
    if Counter(before.positive_examples) != Counter(after.positive_examples):
        yield "the examples differ"
