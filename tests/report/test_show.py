"""A cell's predictions for people: the golden study's cells, so that texts and counts are known."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from instruct_ablate.cell.state.record.predictions import read_predictions, to_line
from instruct_ablate.cell.state.record.record_file import to_json
from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.report.show import Selection, Shown, differing, is_right, read_cell, select_rows, spread

GOLDEN = Path(__file__).parents[1] / "goldens" / "old_study"
ORIGINAL, SIMPLIFIED = "tiny_llama-original-2-s0-b383ea47", "tiny_llama-simplified-2-s0-f25739e8"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "study"))


def show(*words: object) -> Result:
    return CliRunner().invoke(group, ["show", *map(str, words)])


def test_prompts_answers_and_references_stand_one_after_the_other(study: Path) -> None:
    row = read_predictions(study / ORIGINAL / "predictions" / "original.jsonl")[0]
    said = show(study / ORIGINAL, "--limit", 1)
    assert said.exit_code == 0
    assert said.output.splitlines()[1] == f"{row.task} {row.instance_id}, tested on original"
    assert "    Definition: You are given two sentences" in said.output
    assert "references:\n    No\n" in said.output
    assert "prediction (right):\n    No\n" in said.output
    assert said.output.splitlines()[-1] == "1 of 18 predictions"


@pytest.mark.parametrize(("answer", "seen"), [("", "(nothing)"), ("\n", r"(white space alone: '\n')")])
def test_an_answer_of_nothing_is_seen(study: Path, answer: str, seen: str) -> None:
    """Before: no line stood below "prediction (wrong):"."""
    path = study / ORIGINAL / "predictions" / "original.jsonl"
    row, *rest = read_predictions(path)
    path.write_text(
        "".join(f"{to_line(one)}\n" for one in (replace(row, prediction=answer, references=("",)), *rest))
    )
    said = show(study / ORIGINAL, "--limit", 1).output
    assert f"\n    {seen}\n" in said.partition("prediction (")[2]
    assert "references:\n    (nothing)\n" in said


def test_wrong_ones_alone(study: Path) -> None:
    rows = read_predictions(study / ORIGINAL / "predictions" / "original.jsonl")
    wrong = [row for row in rows if row.prediction.lower().strip(". ") != row.references[0].lower()]
    chosen = select_rows(study / ORIGINAL, Selection(wrong=True))
    assert 0 < len(wrong) < len(rows)
    assert [one.row.key for one in chosen] == [row.key for row in wrong]
    assert show(study / ORIGINAL, "--wrong", "--limit", 0).output.count("prediction (wrong):") == len(wrong)


def test_a_row_for_programs_has_all_that_people_see(study: Path) -> None:
    (first, *_) = select_rows(study / ORIGINAL, Selection())
    row = first.row
    (told,) = json.loads(show(study / ORIGINAL, "--limit", 1, "--json").output)["rows"]
    assert told == {
        "task": row.task, "category": row.category, "kind": row.kind, "instance_id": row.instance_id,
        "tested_on": "original", "prompt": row.prompt, "prediction": row.prediction,
        "references": list(row.references), "right": True, "cut": False, "scores": dict(row.values),
    }  # fmt: skip


def test_one_task_alone(study: Path) -> None:
    task = "starter108_spam_message"
    chosen = select_rows(study / ORIGINAL, Selection(task))
    assert len(chosen) == 3
    assert {one.row.task for one in chosen} == {task}


def test_a_few_rows_are_of_as_many_tasks_as_can_be(study: Path) -> None:
    """Before: the first rows, which were all of the first task."""
    every = select_rows(study / ORIGINAL, Selection())
    tasks = list(dict.fromkeys(one.row.task for one in every))
    assert (len(every), len(tasks)) == (18, 6)
    for most in (1, 4, 6, 8, 17):
        chosen = spread(every, most)
        counts = [sum(one.row.task == task for one in chosen) for task in tasks]
        assert sum(counts) == len(chosen) == most
        assert max(counts) - min(counts) <= 1
        assert chosen == tuple(one for one in every if one in chosen), "in their order"
    assert spread(every, 1) == every[:1]
    assert spread(every, 0) == spread(every, 18) == spread(every, 99) == every
    said = show(study / ORIGINAL, "--limit", 6).output
    assert all(f"\n{task} " in said for task in tasks)


def test_a_few_rows_are_of_several_test_instructions_too(study: Path) -> None:
    (first, *_) = select_rows(study / ORIGINAL, Selection())
    sizes = {("a", "t1"): 5, ("a", "t2"): 1, ("b", "t1"): 5, ("b", "t2"): 1}
    rows = [
        Shown(tested, replace(first.row, task=task, instance_id=str(number)))
        for (tested, task), size in sizes.items()
        for number in range(size)
    ]
    told = [
        [(one.tested, one.row.task, one.row.instance_id) for one in spread(rows, most)] for most in (2, 7)
    ]
    assert told[0] == [("a", "t1", "0"), ("b", "t1", "0")]
    assert told[1] == [
        *(("a", "t1", number) for number in "012"),
        ("a", "t2", "0"),
        *(("b", "t1", number) for number in "01"),
        ("b", "t2", "0"),
    ]  # the third round has room for one


def test_two_cells_are_held_against_each_other(study: Path) -> None:
    mine, theirs = (
        {row.key: row for row in read_predictions(study / cell / "predictions" / f"{tested}.jsonl")}
        for cell, tested in ((ORIGINAL, "original"), (SIMPLIFIED, "original"))
    )
    apart = [key for key, row in mine.items() if row.prediction != theirs[key].prediction]
    said = show("--diff", study / ORIGINAL, study / SIMPLIFIED, "--limit", 0, "--json")
    rows = json.loads(said.output)["rows"]
    assert apart
    assert [(row["task"], row["instance_id"]) for row in rows] == apart
    assert all(row["prediction"] != row["other"]["prediction"] for row in rows)
    wrong = show("--diff", "--wrong", study / ORIGINAL, study / SIMPLIFIED, "--json", "--limit", 0)
    assert json.loads(wrong.output)["of"] == sum(not is_right(theirs[key]) for key in apart)


def test_what_is_left_out_as_right_says_nothing_of_how_a_cell_was_tested(study: Path, tmp_path: Path) -> None:
    """Before: right on the one test that both have, a cell's other test was held against it."""
    both = shutil.copytree(study / ORIGINAL, tmp_path / "both")
    record = json.loads((both / "record.json").read_text())
    rows = read_predictions(both / "predictions" / "original.jsonl")
    record.pop("seal", None)
    record["blocks"] = [
        {**record["blocks"][0], "instruction": test, "predictions": f"predictions/{test}.jsonl"}
        for test in ("original", "delusive")
    ]
    (both / "record.json").write_text(json.dumps(record))
    for test in ("original", "delusive"):
        right = [replace(row, prediction=row.references[0] if test == "original" else "x") for row in rows]
        text = "".join(to_line(row) + "\n" for row in right)
        (both / "predictions" / f"{test}.jsonl").write_text(text)
    alone = shutil.copytree(study / ORIGINAL, tmp_path / "alone")
    record["blocks"] = record["blocks"][:1]
    (alone / "record.json").write_text(json.dumps(record))
    said = show("--diff", "--wrong", alone, both, "--json", "--limit", 0)
    assert json.loads(said.output)["of"] == 0


def test_rows_are_paired_by_name_whatever_their_order(study: Path) -> None:
    first, second = (select_rows(study / cell, Selection()) for cell in (ORIGINAL, SIMPLIFIED))
    assert differing(first, tuple(reversed(second))) == differing(first, second)


def test_a_prompt_that_differs_is_shown_of_both(study: Path) -> None:
    file = study / SIMPLIFIED / "predictions" / "original.jsonl"
    rows = read_predictions(file)
    file.write_text("".join(to_line(replace(row, prompt="another", prediction="x")) + "\n" for row in rows))
    said = show("--diff", study / ORIGINAL, study / SIMPLIFIED, "--limit", 1).output
    assert "prompt of the first:\n    Definition" in said
    assert "prompt of the second:\n    another\n" in said


def test_what_a_model_wrote_steers_no_terminal(study: Path) -> None:
    file = study / ORIGINAL / "predictions" / "original.jsonl"
    rows = read_predictions(file)
    file.write_text("".join(to_line(replace(row, prediction="\x1b[2Jgone")) + "\n" for row in rows))
    said = show(study / ORIGINAL, "--limit", 1).output
    assert "\x1b" not in said
    assert "\\x1b[2Jgone" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--task", "starter108_spam"), "did you mean 'starter108_spam_message'"),
        (("--tested", "orignal"), "did you mean 'original'"),
    ],
)
def test_names_that_are_not_there_are_answered(study: Path, words: tuple[str, ...], said: str) -> None:
    fault = show(study / ORIGINAL, *words).exception
    assert isinstance(fault, UserError)
    assert said in str(fault)


def test_what_is_no_cell_or_not_done_is_refused(study: Path) -> None:
    with pytest.raises(
        UserError, match=r"a cell is a folder such as .*; this is a study, whose cells `instruct-ablate"
    ):
        select_rows(study, Selection())
    with pytest.raises(UserError, match=rf"a cell is a folder such as .*; did you mean '{ORIGINAL}'\?"):
        select_rows(study / ORIGINAL[:-1], Selection())
    with pytest.raises(UserError, match=r"a cell is a folder such as .* with a record\.json in it\.$"):
        select_rows(study / "nowhere" / ORIGINAL, Selection())
    record = study / ORIGINAL / "record.json"
    record.write_text(to_json(replace(read_cell(study / ORIGINAL), state="interrupted", blocks=())))
    with pytest.raises(UserError, match="the cell is interrupted"):
        select_rows(study / ORIGINAL, Selection())
    record.write_text("{")
    with pytest.raises(UserError, match=r"record\.json cannot be read"):
        select_rows(study / ORIGINAL, Selection())


def test_the_number_of_cells_is_checked(study: Path) -> None:
    for words in ((study / ORIGINAL, study / SIMPLIFIED), ("--diff", study / ORIGINAL)):
        assert "one cell, or --diff and two" in str(show(*words).exception)


def test_an_answer_that_constraints_check_is_right_by_them(study: Path) -> None:
    (row, *_) = read_predictions(next((study / ORIGINAL / "predictions").glob("*.jsonl")))
    equal = replace(row, references=(row.prediction or "x",), prediction=row.prediction or "x")
    assert is_right(equal)
    assert not is_right(replace(equal, values=(("prompt_level_strict", 0.0),)))
    assert is_right(replace(equal, prediction="", values=(("prompt_level_strict", 1.0),)))


def test_a_cut_answer_says_so(study: Path) -> None:
    path = study / ORIGINAL / "predictions" / "original.jsonl"
    first, *rest = read_predictions(path)
    path.write_text("".join(f"{to_line(row)}\n" for row in (replace(first, cut=True), *rest)))
    said = show(study / ORIGINAL, "--limit", 0).output
    assert said.count("prediction (right, ended at its greatest length):\n    No\n") == 1
    assert said.count("greatest length") == 1
    told = json.loads(show(study / ORIGINAL, "--limit", 0, "--json").output)["rows"]
    assert [row["cut"] for row in told] == [True, *(False for _ in rest)]
