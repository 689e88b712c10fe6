"""Variants of the examples after Min et al. (2022): what of a demonstration is kept, what is random or gone.

A part that is gone is an empty string; templates leave its line out.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import variant
from instruct_ablate.instruction.words.corpus import draw, sentences
from instruct_ablate.instruction.words.options import own_options
from instruct_ablate.instruction.words.outputs import distinct, outputs, right_answers, wrong_output
from instruct_ablate.normalisation import label_form
from instruct_ablate.tasks.task import Example, Instance, Task

# Common English nouns that no task has for a label.
WORDS = tuple((Path(__file__).parent / "words.txt").read_text(encoding="utf-8").split())


@variant("examples", name="original")
def original_examples(task: Task, context: Context) -> Task:
    """Leave the examples as they are."""
    return task


@variant("examples", name="empty")
def no_examples(task: Task, context: Context) -> Task:
    """Leave the examples out (Kung & Peng 2023)."""
    return replace(task, positive_examples=())


# 1 drew from the task's outputs where an example has its own options; 2 took numbered sentences for such
@variant("examples", version=3, chance=True)
def random_labels(task: Task, context: Context) -> Task:
    """Draw each example's output uniformly from its own options, else from the task's, right ones included."""
    drawn = zip(task.positive_examples, _drawn(task, context), strict=True)
    return replace(task, positive_examples=tuple(Example(e.input, output) for e, output in drawn))


def _space(task: Task) -> tuple[str, ...]:
    return distinct(task.label_space) if task.label_space else outputs(task)


def _drawn(task: Task, context: Context) -> list[str]:
    """Draw an output for each example: the same draws wherever a variant has random labels (Min et al. 2022)."""
    chance, space = context.random(task, "random_labels"), _space(context.whole(task))
    options = (own_options(example, task.label_space) for example in task.positive_examples)
    return [chance.choice(own or space) for own in options]


# 1 showed references of tested instances where outputs are free
@variant("examples", version=2, chance=True)
def random_true_distribution(task: Task, context: Context) -> Task:
    """Draw each example's output by how often the task's instances have it (Min et al. 2022).

    Free outputs are each there once, and those of the instances would be right answers to them: there the examples'
    own are drawn (where they have but one the instances' all the same, as `shown_answers_note` says).
    """
    whole, chance = context.whole(task), context.random(task, "random_true_distribution")
    often = [one.references[0] for one in whole.instances] if whole.label_space else []
    drawn = [(e, chance.choice(often or _space(whole))) for e in task.positive_examples]
    return replace(task, positive_examples=tuple(Example(e.input, output) for e, output in drawn))


@variant("examples", chance=True)
def random_english_words(task: Task, context: Context) -> Task:
    """Put a random English word for each option of the space, and draw among them (Min et al. 2022)."""
    chance, space = context.random(task, "random_english_words"), _space(context.whole(task))
    words = chance.sample(WORDS, min(len(space), len(WORDS)))
    made = [Example(e.input, chance.choice(words)) for e in task.positive_examples]
    return replace(task, positive_examples=tuple(made))


# 1 showed a right output where several are right for an input, or where the output is none of the space's
@variant("examples", version=2)
def permuted_labels(task: Task, context: Context) -> Task:
    """Give each label the next one's place in all examples: wrong, but always in the same way (Min et al. 2022).

    Where the next one is known to be right for that input, too, the one after it is taken. What is trained and tested
    stays, where theirs permutes the tested labels too.
    """
    whole = context.whole(task)
    space = _space(whole)
    places = {label_form(label): place for place, label in enumerate(space)}
    shown = []
    for example in task.positive_examples:
        right = right_answers(whole, example.input) | {label_form(example.output)}
        first = places.get(label_form(example.output), -1) + 1
        wrong = (label for label in (*space[first:], *space[:first]) if label_form(label) not in right)
        shown.append(Example(example.input, next(wrong, example.output)))
    return replace(task, positive_examples=tuple(shown))


# 1 drew wrong outputs from the task's where an example has its own options; 2 as random_labels 2
@variant("examples", parameter="correct", version=3, chance=True)
def partly_correct(task: Task, context: Context) -> Task:
    """Keep the share `correct` of the shown examples right, make the others wrong (Min et al. 2022).

    A wrong output is one of the example's own options, where it has some.
    """
    shown = task.positive_examples[: context.num_positive]
    chance, whole = context.random(task, "partly_correct"), context.whole(task)
    right = set(chance.sample(range(len(shown)), round(context.correct * len(shown))))
    mixed = []
    for place, example in enumerate(shown):
        own = own_options(example, task.label_space)
        wrong = None if place in right else wrong_output(whole, example, chance, own)
        mixed.append(example if wrong is None else Example(example.input, wrong))
    return replace(task, positive_examples=tuple(mixed))


# 1 showed the right outputs; 2 as random_labels 1, 3 as random_labels 2
@variant("examples", shows=("output",), version=4, chance=True)
def outputs_only(task: Task, context: Context) -> Task:
    """Show random outputs without inputs (Min et al. 2022, "random labels only")."""
    return replace(task, positive_examples=tuple(Example("", output) for output in _drawn(task, context)))


@variant("examples", shows=("input",))
def inputs_only(task: Task, context: Context) -> Task:
    """Show the inputs without their outputs (Min et al. 2022, "no labels")."""
    return replace(task, positive_examples=tuple(Example(e.input, "") for e in task.positive_examples))


def _strange(task: Task, instance: Instance, context: Context) -> tuple[Example, ...]:
    """Draw for one instance: sentences about as long as its input, before the outputs that all instances are shown."""
    chance, drawn = context.random(task, f"ood_inputs {instance.id}"), _drawn(task, context)
    length = len(instance.input.split())
    shown = draw(sentences(context.corpus), length, len(drawn), chance)
    return tuple(map(Example, shown, drawn))


# 1 kept the right outputs; 2 took inputs of another task; 3 drew them once for a task, as long as its examples;
# 4 drew outputs as random_labels 2
@variant("examples", version=5, chance=True, reads="corpus", each=_strange)
def ood_inputs(task: Task, context: Context) -> Task:
    """Put sentences of an outside corpus before random outputs, for each instance others (Min et al. 2022).

    The task itself carries those of its first instance.
    """
    first = next(iter(task.instances), Instance("", "", ()))
    return replace(task, positive_examples=_strange(task, first, context))


@variant("examples", chance=True)
def permuted(task: Task, context: Context) -> Task:
    """Show the same examples in another order."""
    shown, rest = (
        list(task.positive_examples[: context.num_positive]),
        task.positive_examples[context.num_positive :],
    )
    before = list(shown)
    chance = context.random(task, "permuted")
    # Of two examples every other draw is the order that they had; examples that are all alike have no other.
    while len(set(before)) > 1 and shown == before:
        chance.shuffle(shown)
    return replace(task, positive_examples=(*shown, *rest))
