from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.grid.history.looks import CHAIN, Look
from instruct_ablate.grid.study import read_study
from instruct_ablate.instruction.variant import VARIANTS
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.tables.tables import main_table, markdown
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks

TASKS = ["tasks.test_tasks=2", "tasks.test_instances=3"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tasks = read_tasks(TasksConfig("starter", test_tasks=2, test_instances=3)).test
    rows = [
        {"task": task.name, "id": one.id, "answer": one.references[0]}
        for task in tasks
        for one in task.instances
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def words(file: Path, tmp_path: Path) -> list[str]:
    return ["import", str(file), "--model", "api", *TASKS, f"output={tmp_path}", "study=s"]


def test_predictions_become_a_cell(file: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(group, [*words(file, tmp_path), "--column", "prediction=answer"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "exact match 100.00" in result.output
    cells = read_study(tmp_path / "s").cells
    assert [(cell.state, cell.setting.model) for cell in cells] == [("done", "api")]


def test_a_column_that_cannot_be_read_is_told(file: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(group, [*words(file, tmp_path), "--column", "answer"])
    assert isinstance(result.exception, UserError)
    assert "NAME=COLUMN" in str(result.exception)


def test_missing_unknown_and_double_instances_are_named(file: Path, tmp_path: Path) -> None:
    lines = file.read_text().splitlines(keepends=True)
    first = json.loads(lines[0])
    strange = json.dumps({**first, "id": "no-such-id"}) + "\n"
    column = ["--column", "prediction=answer"]

    def said(given: list[str], *more: str) -> str:
        file.write_text("".join(given))
        result = CliRunner().invoke(group, [*words(file, tmp_path), *column, *more])
        assert isinstance(result.exception, UserError), result.output
        return str(result.exception)

    missing = said(lines[1:])
    assert "1 instance without a prediction" in missing
    assert f"{first['task']} {first['id']}" in missing
    assert f"1 instance that starter does not have: {first['task']} no-such-id" in said([*lines, strange])
    assert f"1 instance more than once: {first['task']} {first['id']}" in said(
        [*lines, lines[0]], "--partial"
    )
    assert not (tmp_path / "s").exists(), "nothing is written of a file that does not match"


def test_a_label_of_no_variant_is_noted(file: Path, tmp_path: Path) -> None:
    def said(label: str) -> str:
        arguments = [*words(file, tmp_path), "--column", "prediction=answer", "--instruction", label]
        result = CliRunner().invoke(group, arguments)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    assert "--instruction: unknown instruction label 'orignal'; did you mean 'original'?" in said("orignal")
    assert "--instruction" not in said("simplified+empty") + said("original") + said("delusive")


def test_partial_says_what_is_left_out(file: Path, tmp_path: Path) -> None:
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    arguments = [*words(file, tmp_path), "--column", "prediction=answer", "--partial"]
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "5 of 6 test instances" in result.output
    assert "1 instance of 1 task is missing" in result.output


def test_real_predictions_stand_in_a_table_beside_guessing(shared: Path, tmp_path: Path) -> None:
    """Alpaca-7B's 11,810 answers to the 119 test tasks, with Tk-Instruct's own scores of them."""
    file = shared / "predictions" / "alpaca_llama7b.jsonl"
    expected = json.loads(file.with_name("alpaca_llama7b_expected.json").read_text())
    where = ["tasks=natural_instructions", f"tasks.root={shared / 'natural-instructions'}", "study=alpaca"]
    where += [f"output={tmp_path}", f"cache={tmp_path}/cache"]
    given = ["import", str(file), "--model", "alpaca_7b", "--partial", "--own-references", *where]
    result = CliRunner().invoke(group, given)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "11810 of 11,810 test instances have an imported prediction" in result.output
    run_cell(compose_config([*where, "model=uniform_guess", "logger=none"]))

    guess, alpaca = sorted(read_study(tmp_path / "alpaca").cells, key=lambda cell: cell.setting.model)[::-1]
    scores = alpaca.blocks[0].scores
    assert round(scores.overall.get("rougeL"), 4) == expected["rougeL"] == 39.3565
    assert round(scores.overall.get("exact_match"), 4) == expected["exact_match"]
    for one in scores.categories:
        name = one.name.lower().replace(" ", "_")
        assert round(one.get("rougeL"), 4) == expected[f"rougeL_for_{name}"]
    assert {task.score.name for task in guess.blocks[0].scores.tasks} == {t.score.name for t in scores.tasks}
    table = markdown(main_table(build_rows(read_study(tmp_path / "alpaca").cells), "original"))
    for name, score in (("alpaca_7b", "35."), ("uniform_guess", "42.03")):
        (line,) = [line for line in table.splitlines() if name in line]
        assert score in line, table


@pytest.mark.parametrize("study", ["../x", "/abs", "", "."])
def test_nothing_leaves_the_output_folder(tmp_path: Path, study: str) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text('{"id": "1", "prediction": "x"}')
    places = [f"study='{study}'", f"output={tmp_path}/out", f"cache={tmp_path}/cache"]
    result = CliRunner().invoke(group, ["import", str(file), "--model", "m", *places])
    assert isinstance(result.exception, UserError | SystemExit)
    assert "study=" in str(result.exception) + result.output


def test_a_study_that_was_looked_at_takes_nothing_in(file: Path, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    CHAIN.add(
        tmp_path / "s",
        Look(seeds=(0, 1, 2, 3, 4), done=2, hypotheses=(), reference="original", grid=("x" * 16,), cells=1),
    )
    result = CliRunner().invoke(group, [*words(file, tmp_path), "--column", "prediction=answer"])
    assert isinstance(result.exception, UserError)
    assert "study=s_imported" in str(result.exception)
    assert not list(tmp_path.glob("s/*/record.json"))


def test_a_variant_of_ones_own_is_known(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(VARIANTS, "definition", dict(VARIANTS["definition"]))  # forgotten after the test
    Path("own_of_import.py").write_text(
        "from instruct_ablate.instruction.variant import variant\n\n\n"
        '@variant("definition")\ndef as_it_comes(task, context):\n    """Nothing altered."""\n    return task\n'
    )
    more = ["--column", "prediction=answer", "--instruction", "as_it_comes+original"]
    known = CliRunner().invoke(group, [*words(file, tmp_path), *more, "extensions=[own_of_import.py]"])
    assert known.exit_code == 0, (known.output, known.exception)
    assert "unknown" not in known.output
