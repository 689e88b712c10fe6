from collections import Counter

import pytest

from instruct_ablate.tasks.intake.intake import Columns, Draft, Row, admit, first_named, tidied
from instruct_ablate.tasks.intake.source import Fault, Parsed
from instruct_ablate.tasks.task import Instance
from tests.conftest import make_task
from tests.left_out import left_out


def draft(*rows, **changes):
    return Draft("t", rows, "file.json", **changes)


def row(output="x", **changes):
    return Row(**{"where": "row 1", "input": "in", "output": output, **changes})


def admitted(*rows, **changes):
    parsed = admit(draft(*rows, **changes), test=True)
    assert isinstance(parsed, Parsed), parsed
    return parsed


def test_a_row_becomes_an_instance():
    parsed = admitted(row(["x", "y"], id=7, place=3), row(place=4), definition="Do.\0", prefix="p")
    assert parsed.task.instances == (Instance("7", "in", ("x", "y")), Instance("p-4", "in", ("x",)))
    assert parsed.task.definition == "Do.\ufffd"
    assert set(parsed.notes) == {
        "t: instance id taken as text",
        "t: instance without id numbered",
        "t: broken Unicode replaced",
    }
    assert admitted(row(), has_ids=False).notes == ()


def test_label_spaces_are_derived_unless_there_are_labels_or_choices():
    rows = [row("yes"), row("no")] * 3
    assert admitted(*rows).task.label_space == ("yes", "no")
    assert admitted(*rows, labels=("no", "yes")).task.label_space == ("no", "yes")
    assert admitted(*rows, derives=False).task.label_space is None
    chosen = admitted(*[row("yes", choices="yes ||| no")] * 2).task
    assert (chosen.label_space, chosen.answer_choices[1]) == (None, ("t-0#2", ("yes", "no")))


def test_choices_that_all_rows_of_a_prompt_set_share_are_its_label_space():
    shared = [row("yes", choices=["yes ", "no"])] * 2
    task = admitted(*shared, prompted=True, trimmed=str.strip).task
    assert (task.label_space, task.answer_choices) == (("yes", "no"), ())
    task = admitted(*shared, row("yes", choices=["yes", "maybe"]), prompted=True).task
    assert task.label_space is None
    assert len(task.answer_choices) == 3
    assert admitted(*shared, row("yes"), prompted=True).task.label_space is None


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (row(None), "row 1: 'answer' is missing or null"),
        (row([]), "row 1: 'answer' is missing or null"),
        (row(input=None), "row 1: 'question' is missing or null"),
        (row(True), "'answer' holds true, a truth value, not text: give its two texts, for false and true"),
        (row(choices=4), "'options' holds a number; answer choices are a list of texts"),
    ],
)
def test_what_cannot_be_used_is_one_fault_or_left_out(bad, said):
    columns = Columns("question", "answer", "options")
    fault = admit(draft(row(), bad, columns=columns), test=False)
    assert isinstance(fault, Fault)
    assert fault.message.startswith("file.json: row 1: ")
    assert said in fault.message
    parsed = admitted(row(), bad, columns=columns, lenient=True)
    assert len(parsed.task.instances) == 1
    assert any(note.endswith("left out") for note in parsed.notes)
    assert isinstance(admit(draft(bad, lenient=True), test=False), Fault), "nothing is left"
    assert admit(draft(), test=False) == Fault("file.json: no rows")


def test_many_faults_are_counted():
    assert first_named(list("abcde")) == ["a", "b", "c", "and 2 more such rows"]
    assert first_named(list("abc")) == list("abc")


def test_notes_of_a_reader_stand_with_those_of_the_gate():
    parsed = admit(draft(row(), has_ids=False), test=False, oddities=Counter({"no category": 1}))
    assert isinstance(parsed, Parsed)
    assert parsed.notes == ("t: no category",)


def test_a_task_that_is_well_made_is_not_touched():
    assert tidied(make_task()) == (make_task(), ())


def test_rows_without_input_or_output_and_truth_values_are_refused():
    for given, said in (
        (row(input=None), "row 1: 'input' is missing or null"),
        (row(output=None), "row 1: 'output' is missing or null"),
        (row(output=[]), "'output' is missing or null"),
        (row(output=True), "tasks.labels=[no, yes]"),
    ):
        fault = admit(draft(given), test=True)
        assert isinstance(fault, Fault)
        assert said in fault.message


def test_a_readers_own_task_keeps_its_label_space_and_derives_none():
    open_ = make_task(
        label_space=None, instances=tuple(Instance(str(n), "in", (("yes", "no")[n % 2],)) for n in range(8))
    )
    found = tidied(open_)
    assert not isinstance(found, Fault)
    assert found[0].label_space is None
    closed = tidied(make_task())
    assert not isinstance(closed, Fault)
    assert closed[0].label_space == ("positive", "negative")


def test_what_is_left_out():
    assert left_out(Row) == {"place": 0}
    assert left_out(Columns) == {"input": "input", "output": "output", "choices": "choices"}
    assert left_out(Draft) == {"prompted": False, "lenient": False, "has_ids": True, "derives": True}
