"""Variants of the definition."""

from __future__ import annotations

from instruct_ablate.instruction import definitions as d
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import VARIANTS
from instruct_ablate.tasks.task import Instance
from tests.conftest import make_task

CONTEXT = Context(0)


def test_simplified_keeps_the_labels_and_nothing_else() -> None:
    assert d.simplified(make_task(), CONTEXT).definition == "Label: positive. Label: negative."
    assert d.simplified(make_task(label_space=None), CONTEXT).definition == ""
    assert d.label_list(("Yes.", "no", "No")) == "Label: Yes. Label: no."


def test_empty_and_original() -> None:
    task = make_task()
    assert d.original(task, CONTEXT) is task
    assert d.empty(task, CONTEXT).definition == ""


def test_prompted_tasks_lose_their_wording_and_keep_their_choices() -> None:
    task = make_task(prompted=True, instances=())
    inputs = [
        "Review: fine film\nIs this review good or bad?",
        "Review: dull book\nIs this review good or bad?",
    ]
    prompted = make_task(
        prompted=True,
        instances=tuple(Instance(str(i), text, ("good",)) for i, text in enumerate(inputs)),
        label_space=None,
        answer_choices=(("0", ("good", "bad")), ("1", ("good", "bad"))),
    )
    after = d.simplified(prompted, CONTEXT)
    assert after.instances[0].input.startswith("Label: good. Label: bad.\n")
    assert "fine film" in after.instances[0].input
    assert "Is this review" not in after.instances[0].input
    assert after.definition == prompted.definition
    free = make_task(prompted=True, instances=prompted.instances, label_space=None)
    assert "Label" not in d.simplified(free, CONTEXT).instances[1].input
    assert "dull book" in d.empty(free, CONTEXT).instances[1].input
    assert d.simplified(task, CONTEXT).instances == ()


def test_misleading_definitions_are_other_tasks() -> None:
    task = make_task()
    near = make_task("near", definition="Is the customer content?")
    far = make_task("far", definition="Translate it into French.", categories=("Translation",))
    twin = make_task("twin", definition=task.definition.upper(), categories=("Twins",))
    context = Context(0, (task, near, far, twin))
    assert d.misleading_moderate(task, context).definition == near.definition
    assert d.misleading_extreme(task, context).definition == far.definition
    for function, expected in (
        (d.misleading, {near.definition, far.definition}),
        (d.misleading_moderate, {near.definition}),
        (d.misleading_extreme, {far.definition}),
    ):
        assert {function(task, Context(s, context.tasks)).definition for s in range(30)} == expected


def test_a_task_alone_in_its_category_gets_the_most_similar_definition() -> None:
    task = make_task()
    far = make_task("far", definition="Translate it into French.", categories=("Translation",))
    alike = make_task("alike", definition="Read the review of the writer.", categories=("Other",))
    assert d.misleading_moderate(task, Context(0, (far, alike))).definition == alike.definition
    words = f"{task.definition} {' '.join(f'word{n}' for n in range(60))}"
    long = make_task("long", definition=words, categories=("Other",))
    found = d.misleading_moderate(task, Context(0, (long, alike)))
    assert found.definition == alike.definition, "a long text has many words in common with any"


def test_nothing_to_borrow_leaves_the_task() -> None:
    task = make_task()
    for function in (d.misleading, d.misleading_moderate, d.misleading_extreme):
        assert function(task, Context(0, (task,))) == task
        silent = make_task("silent", definition="", categories=("Other",))
        assert function(task, Context(0, (task, silent))) == task, "none would be shown"


def test_task_name_irrelevant_and_response_only() -> None:
    assert (
        d.task_name(make_task("task1390_wscfixed_coreference"), CONTEXT).definition == "wscfixed coreference"
    )
    assert d.task_name(make_task("sorting"), CONTEXT).definition == "sorting"
    assert d.irrelevant(make_task(), CONTEXT).definition in d.IRRELEVANT
    after = d.response_only(make_task(), CONTEXT)
    assert after.definition == ""
    assert all(instance.input == "" and instance.references for instance in after.instances)


def test_draws_are_the_same_for_ever() -> None:
    """What a variant draws follows from seed, name and purpose: another purpose would make other data of old seeds."""
    words = ["one", "two", "three", "four", "five", "six"]
    tasks = tuple(
        make_task(f"task{i}_x", definition=f"Do thing {word}.", categories=(("A", "B")[i // 3],))
        for i, word in enumerate(words)
    )
    context = Context(7, tasks)

    def made(variant: str) -> str:
        return " ".join(getattr(d, variant)(task, context).definition[9:-1] for task in tasks)

    assert made("misleading") == "three one six one four three"
    assert made("misleading_moderate") == "two one two five four five"
    assert made("misleading_extreme") == "five six four two one three"
    chosen = [d.IRRELEVANT.index(d.irrelevant(task, context).definition) for task in tasks]
    assert chosen == [0, 7, 7, 1, 5, 6]


def test_names_lose_their_number_and_signs() -> None:
    for name, bare in (
        ("task1390_wscfixed_coreference", "wscfixed coreference"),
        ("task12-odd__name", "odd name"),
        ("task7", "task7"),
        ("_a b_", "a b"),
        ("my_task12_x", "my task12 x"),
    ):
        expected = "" if bare is None else bare
        assert d.task_name(make_task(name), CONTEXT).definition == expected


def test_what_each_may_change_is_registered() -> None:
    changes = {
        name: known.changes
        for name, known in VARIANTS["definition"].items()
        if known.function.__module__ == d.__name__
    }
    assert changes.pop("response_only") == ("definition", "instances")
    assert set(changes.values()) == {("definition",)}
    assert changes.keys() == {
        *("original", "empty", "simplified", "irrelevant", "task_name"),
        *("misleading", "misleading_moderate", "misleading_extreme"),
    }
