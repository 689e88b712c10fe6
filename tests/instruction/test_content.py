"""Definitions without one kind of content, as annotated or by rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from instruct_ablate.instruction import content
from instruct_ablate.instruction.content import DROPPED, rules_note
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import VARIANTS
from instruct_ablate.instruction.words.segments import VERBS
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from tests.conftest import make_task

DEFINITION = (
    'You are given a film review. Your task is to judge the writer\'s opinion. Answer with "positive" or '
    '"negative". A review is positive if the writer liked the film. Reviews come from a newspaper.'
)
# task1155 and task1361 of Super-NaturalInstructions, whose remains made no sense once.
ANALOGY = (
    'Two analogies that relate items to whether they are trash or treasure is given in the form "A : B. C : ?". Items '
    'marked as "trash" are considered to not have value and can be disposed. "A : "B relates item A to whether it is '
    "trash or treasure, as specified by B. Your task is to replace the question mark (?) with either `trash` or "
    '`treasure` for the given item C, following the "A : B" relation.'
)
REVIEW = "In this task, you must classify if a given review is positive/negative, indicating your answer as P or N."

# What cutting may leave behind: each counts how often a text has it.
NONSENSE: dict[str, Callable[[str], int]] = {
    "empty quotes or brackets": lambda text: len(re.findall(r"\"\s*\"|``\s*''|“\s*”|\(\s*\)|\[\s*\]", text)),
    "a dangling connective": lambda text: len(
        re.findall(
            r"\b(?:and|or|but|if|when|whether|because|the|an?)\s*[.!?](?=\s|$)|[,;(]\s*[.!?]?$|[,;]\s*[.]",
            text,
        )
        + re.findall(r"\b(?:and|or|but|if|when|whether|because|the|an?)$", text)
    ),
    "a beginning that hangs": lambda text: len(
        re.findall(r"^(?:and|or|but|then|otherwise|else|which)\b", text, re.I)
    ),
    "lone punctuation": lambda text: len(re.findall(r"(?:(?<=\s)|^)[.,;:!?)\]\"'`]+(?=\s|$)", text)),
    "open brackets": lambda text: sum(abs(text.count(a) - text.count(b)) for a, b in ("()", "[]", "{}")),
    "open quotes": lambda text: (
        text.count('"') % 2 + text.count("`") % 2 + abs(text.count("“") - text.count("”"))
    ),
}
VERB = re.compile(
    r"\b(?:is|are|was|be|been|has|have|do|does|can|will|should|must|may|need|given|see|get|read|receive|\w+(?:ed|s|ing)"
    rf"|{VERBS})\b|'(?:s|re|ll)\b",
    re.IGNORECASE,
)


@pytest.fixture
def annotated(tmp_path: Path) -> Context:
    """The opposite of what rules would find, so that it shows whose segments are left out."""
    segments = [
        ["You are given a film review .", "Segment,Action content,Output content"],
        ["Your task is to judge the writer 's opinion .", "Segment,Input content"],
        ["Answer with `` positive '' or `` negative '' .", "Segment"],
        ["A review is positive if the writer liked the film .", "Segment,Label list,Output content"],
        ["Reviews come from a newspaper .", "Segment,Input mention"],
    ]
    path = tmp_path / "annotation.json"
    path.write_text(json.dumps({DEFINITION: [*segments, "reviews"]}))
    return Context(0, annotation=str(path))


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("no_input_content", ["You are given a film review."]),
        ("no_action_content", ["Your task is to judge the writer's opinion."]),
        ("no_label_list", ['Answer with "positive" or "negative".']),
        ("no_label_definitions", ["A review is positive if the writer liked the film."]),
        ("no_additional_details", ["Reviews come from a newspaper."]),
        (  # whatever else its segments carry
            "no_output_content",
            [
                "Your task is to judge the writer's opinion.",
                'Answer with "positive" or "negative".',
                "A review is positive if the writer liked the film.",
            ],
        ),
    ],
)
def test_one_kind_is_dropped_and_the_rest_stays(name: str, gone: list[str]) -> None:
    after = VARIANTS["definition"][name].function(make_task(definition=DEFINITION), Context(0)).definition
    left = DEFINITION
    for sentence in gone:
        left = left.replace(sentence, "")
    assert after == " ".join(left.split())


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("no_action_content", "You are given a film review."),
        ("no_input_content", "Your task is to judge the writer's opinion."),
        ("no_label_list", "A review is positive if the writer liked the film."),
    ],
)
def test_annotated_segments_are_left_out_exactly(annotated: Context, name: str, gone: str) -> None:
    task = make_task("reviews", definition=DEFINITION)
    after = VARIANTS["definition"][name].function(task, annotated).definition
    assert after == DEFINITION.replace(f"{gone} ", "").replace(f" {gone}", "")


def test_what_is_not_annotated_goes_by_rules_with_a_note(annotated: Context) -> None:
    there, other = make_task("reviews", definition=DEFINITION), make_task("other", definition=DEFINITION)
    after = VARIANTS["definition"]["no_input_content"].function(other, annotated).definition
    assert after.startswith("Your task is")
    assert rules_note([there], "no_input_content", annotated) is None
    note = rules_note([there, other], "no_input_content", annotated)
    assert note
    assert "1 of 2 definitions" in note
    assert "other" in note
    assert rules_note([other], "simplified", annotated) is None
    assert rules_note([other], "no_input_content", Context(0)) is None


def test_a_definition_without_the_kind_stays() -> None:
    task = make_task(definition="Sort   the words.")
    assert VARIANTS["definition"]["no_label_list"].function(task, Context(0)) is task
    assert content.content(task, Context(0))[0].text == task.definition


@pytest.mark.parametrize("name", DROPPED)
@pytest.mark.parametrize(("definition", "labels"), [(ANALOGY, ("trash", "treasure")), (REVIEW, ("P", "N"))])
def test_nothing_nonsensical_is_left(name: str, definition: str, labels: tuple[str, ...]) -> None:
    task = make_task(definition=definition, label_space=labels)
    after = VARIANTS["definition"][name].function(task, Context(0)).definition
    left = after
    for sentence in (
        'Two analogies that relate items to whether they are trash or treasure is given in the form "A : B. C : ?".',
        'Items marked as "trash" are considered to not have value and can be disposed.',
        '"A : "B relates item A to whether it is trash or treasure, as specified by B.',
        "Your task is to replace the question mark (?) with either `trash` or `treasure` for the given item C, "
        'following the "A : B" relation.',
        REVIEW,
    ):
        left = left.replace(sentence, "")
    assert not left.strip(), f"no whole sentence: {left}"


def sentences(text: str) -> list[str]:
    return [" ".join(re.findall(r"\w+", one.lower())) for one in re.split(r"(?<=[.!?])\s+", text)]


@pytest.mark.slow
def test_nothing_nonsensical_is_left_of_any_definition(shared: Path, tmp_path: Path) -> None:
    """Of all definitions: nothing that the whole one did not have, and no sentence that lost its verb."""
    config = TasksConfig(reader="natural_instructions", root=str(shared / "natural-instructions"))
    read = read_tasks(config, tmp_path)
    found = []
    for name, task in product(DROPPED, (*read.train, *read.test)):
        after = VARIANTS["definition"][name].function(task, Context(0)).definition
        found += [
            f"{name} {task.name}: {what}" for what, of in NONSENSE.items() if of(after) > of(task.definition)
        ]
        whole = set(sentences(task.definition))
        cut = [one for one in sentences(after) if one not in whole and not VERB.search(one)]
        cut = [one for one in cut if re.search(r"[a-z]", one)]  # a number of a list is no sentence
        found += [f"{name} {task.name}: no verb: {one}" for one in cut]
    assert not found


@pytest.mark.parametrize("name", DROPPED)
def test_every_one_reads_the_annotation_and_is_of_the_third_version(name: str) -> None:
    assert VARIANTS["definition"][name].reads == "annotation"
    assert VARIANTS["definition"][name].version == 3


def test_dropping_is_named_after_what_is_dropped() -> None:
    assert content.no_label_list.__name__ == "no_label_list"
    assert content.no_input_content.__qualname__ == "no_input_content"
    assert content.no_label_definitions.__doc__ == "Leave out what the labels mean (Yin et al. 2023)."
