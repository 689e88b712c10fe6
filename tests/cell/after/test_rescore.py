from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.after.import_predictions import Imported, Source, import_predictions, write_imported
from instruct_ablate.cell.after.rescore import check_cell, is_behind, lacks_model, rescore_cell, rescore_study
from instruct_ablate.cell.mirror import wandb_export
from instruct_ablate.cell.state.lock import locked
from instruct_ablate.cell.state.record.instance_scores import read_columns
from instruct_ablate.cell.state.record.predictions import make_row, read_predictions
from instruct_ablate.cell.state.record.record import GENERAL, GENERAL_FILE, SCORING, CellRecord
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.commands.rescore import command
from instruct_ablate.configuration.extensions import load_extensions
from instruct_ablate.disk.file_hash import sha256_of
from instruct_ablate.errors import UserError
from instruct_ablate.metrics import Selection, aggregate
from instruct_ablate.prompt.prompt import Likelihood
from instruct_ablate.scores import MetricDescription
from instruct_ablate.tasks.task import Instance, Task, TaskCollection
from tests.cell.mirror.runs import opened_by
from tests.conftest import make_task
from tests.report.studies import small_study
from tests.scored import instance_score

COLLECTION = TaskCollection("small", (), (make_task(),), "hash")


@pytest.fixture
def imported(tmp_path: Path) -> Imported:
    file = tmp_path / "answers.jsonl"
    given = COLLECTION.test[0].instances
    file.write_text("".join(json.dumps({"id": one.id, "prediction": "positive"}) + "\n" for one in given))
    return import_predictions(file, COLLECTION)


def spoiled(imported: Imported, expected: bool = False) -> Imported:
    """The same predictions, scored by some earlier, other metric."""
    predictions = [row.to_prediction() for row in imported.rows]
    scores = [instance_score(0.25, 0.25, 0.25, 1, 0.5)] * len(predictions)
    rows = tuple(make_row(p, s, expected=expected) for p, s in zip(predictions, scores, strict=True))
    return replace(imported, rows=rows, scores=aggregate(predictions, scores))


def written(imported: Imported, tmp_path: Path) -> tuple[Path, CellRecord]:
    record = write_imported(imported, Source("m"), COLLECTION, tmp_path / "study")
    return tmp_path / "study" / record.name, record


def test_scores_are_computed_again_and_the_earlier_record_kept(imported: Imported, tmp_path: Path) -> None:
    folder, before = written(spoiled(imported), tmp_path)
    earlier = (folder / "record.json").read_text()
    (result,) = rescore_study(tmp_path / "study")
    assert result.changed
    assert [(old.get("exact_match"), new.get("exact_match")) for _, old, new in result.blocks] == [(25, 50)]
    after = read_record(folder)
    assert after == replace(before, blocks=after.blocks) if after else False
    assert after is not None
    assert after.blocks[0].scores == imported.scores
    assert read_predictions(folder / after.blocks[0].predictions) == imported.rows
    assert (folder / "record.1.json").read_text() == earlier


def test_the_cells_wandb_run_is_told_the_new_scores(
    imported: Imported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = opened_by(wandb_export, monkeypatch)
    folder, before = written(spoiled(imported), tmp_path)
    (folder / "config.yaml").write_text("logger: {name: wandb}\n")
    (folder / "wandb").mkdir()
    told = CliRunner().invoke(command, [str(tmp_path / "study")]).output
    assert f"the new scores of 1 W&B run wait for `instruct-ablate sync {tmp_path / 'study'}`" in " ".join(
        told.split()
    )
    (run,) = opened
    assert (run.given["mode"], run.given["id"], run.summary["exact_match"]) == (
        "offline",
        before.identity[:16],
        50,
    )
    assert "W&B" not in CliRunner().invoke(command, [str(tmp_path / "study")]).output, (
        "nothing has changed since"
    )
    assert len(opened) == 1


@pytest.mark.parametrize("noted", [True, False], ids=["rule noted", "by an earlier version"])
def test_words_are_cut_as_when_the_task_was_scored_first(tmp_path: Path, noted: bool) -> None:
    """A task of two scripts has one rule, which its rows note; where they do not, its references tell."""
    rights = ("यह सही है", "cats run", "cats", "running")
    task = Task("t", "d", tuple(Instance(str(n), "x", (text,)) for n, text in enumerate(rights)))
    file = tmp_path / "answers.jsonl"
    answers = [{"id": str(n), "prediction": text.replace("s", "")} for n, text in enumerate(rights)]
    file.write_text("".join(json.dumps(one) + "\n" for one in answers))
    found = import_predictions(file, TaskCollection("mixed", (), (task,), "hash"))
    assert found.scores.overall.get("rougeL") == pytest.approx(100 * (1 + 0.5 + 0 + 1) / 4)
    assert any("is of Unicode words" in note for note in found.notes)
    folder, record = written(found, tmp_path)
    if not noted:
        path = folder / record.blocks[0].predictions
        path.write_text(path.read_text().replace(', "word_rule": "unicode"', ""))
        write_record(folder, replace(record, blocks=(replace(record.blocks[0], scoring=1),)))
    assert not rescore_cell(folder).changed
    after = read_record(folder)
    assert after is not None
    assert (after.blocks[0].scores, after.blocks[0].scoring) == (found.scores, SCORING)
    assert {row.word_rule for row in read_predictions(folder / after.blocks[0].predictions)} == {"unicode"}
    assert noted or any("is of Unicode words" in note for note in after.notes)


def test_nothing_is_written_where_nothing_changes(imported: Imported, tmp_path: Path) -> None:
    folder, _ = written(imported, tmp_path)
    stamp = (folder / "record.json").stat().st_mtime_ns
    assert not rescore_cell(folder).changed
    assert (folder / "record.json").stat().st_mtime_ns == stamp
    assert not (folder / "record.1.json").exists()


@pytest.mark.parametrize("beside", [None, "folder", "pipe", "link"])
def test_predictions_that_somebody_changed_are_told_of_and_noted(
    imported: Imported, tmp_path: Path, beside: str | None
) -> None:
    """Whatever stands where the earlier record will be kept."""
    folder, record = written(imported, tmp_path)
    place = folder / "record.1.json"
    if beside is not None:
        {"folder": place.mkdir, "pipe": lambda: os.mkfifo(place), "link": lambda: place.symlink_to(tmp_path)}[
            beside
        ]()
    path = folder / record.blocks[0].predictions
    path.write_text(path.read_text().replace('"prediction": "positive"', '"prediction": "negative"', 1))
    said = CliRunner().invoke(command, [str(tmp_path / "study")]).output
    assert f"{record.blocks[0].predictions} was changed after it was scored" in said
    after = read_record(folder)
    assert after is not None
    assert after.blocks[0].scores != record.blocks[0].scores
    (note,) = (note for note in after.notes if note not in record.notes)
    assert note.startswith("test, ")
    assert "its present scores are of the changed file" in note
    again = rescore_cell(folder)
    assert (again.edited, again.changed) == ((), False), "the scores are the file's now, and the note stays"
    assert read_record(folder) == after


def test_a_rescoring_that_was_stopped_did_not_change_predictions(
    imported: Imported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, record = written(spoiled(imported), tmp_path)
    before = (folder / record.blocks[0].predictions).read_text()

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("instruct_ablate.cell.after.rescore.write_record", stopped)
        with pytest.raises(KeyboardInterrupt):
            rescore_cell(folder)
    assert (folder / record.blocks[0].predictions).read_text() != before
    result = rescore_cell(folder)
    assert (result.edited, result.changed) == ((), True)
    after = read_record(folder)
    assert after is not None
    assert after.notes == record.notes


def test_the_order_of_the_predictions_does_not_matter(tmp_path: Path) -> None:
    collection = TaskCollection("two", (), (make_task(), make_task("task2_other")), "hash")
    file = tmp_path / "answers.jsonl"
    given = [one for task in collection.test for one in task.instances]
    file.write_text("".join(json.dumps({"id": one.id, "prediction": "positive"}) + "\n" for one in given))
    folder, record = written(import_predictions(file, collection), tmp_path)
    path = folder / record.blocks[0].predictions
    path.write_text("".join(f"{line}\n" for line in reversed(path.read_text().splitlines())))
    result, again = rescore_cell(folder), rescore_cell(folder)
    assert (result.changed, result.edited) == (False, (record.blocks[0].predictions,))
    after = read_record(folder)
    assert after is not None
    assert after.blocks[0].scores == record.blocks[0].scores
    assert (again.edited, len(after.notes)) == ((), len(record.notes) + 1), (
        "it is noted, and the file's checksum is"
    )


def test_each_rescoring_keeps_its_predecessor(
    imported: Imported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("own_rescore_metrics")
    monkeypatch.setitem(sys.modules, "own_rescore_metrics", module)
    exec(OWN.format(name="rescored_brevity", value=0.5), vars(module))
    folder, _ = written(spoiled(imported), tmp_path)
    rescore_cell(folder)
    rescore_cell(folder, Selection(("own_rescore_metrics.rescored_brevity",)))
    assert sorted(path.name for path in folder.glob("record.*.json")) == ["record.1.json", "record.2.json"]
    after = read_record(folder)
    assert after is not None
    assert after.blocks[0].scores.overall.get("rescored_brevity") == 50.0


OWN = """
from instruct_ablate.metrics import Selection, metric

@metric("{name}")
def letters(prediction, references):
    return {value}

{name} = letters
"""


def name_code(folder: Path, module: str, metric: str) -> None:
    """A study whose configuration names a file that leaves a proof of having run, and a metric."""
    file = folder / f"{module}.py"
    proof = f"open({str(folder / 'proof')!r}, 'w')\n"
    file.write_text(proof + OWN.format(name=f"{module}_letters", value=0.75))
    (folder / "config.yaml").write_text(f"extensions: ['{file}']\nevaluation:\n  metrics: [{metric}]\n")


@pytest.mark.parametrize("metric", ["strange_one.letters", "os.execvp", "strange_one"])
def test_code_that_a_study_names_does_not_run(imported: Imported, tmp_path: Path, metric: str) -> None:
    folder, record = written(spoiled(imported), tmp_path)
    name_code(folder, "strange_one", metric)
    left = rescore_cell(folder).left
    assert metric.partition(".")[0] in left
    assert "\n" not in left
    if "." in metric:
        assert f"`instruct-ablate rescore {folder.parent} --trust`" in left
    assert not (folder / "proof").exists()
    assert read_record(folder) == record


def test_the_cells_own_metrics_are_taken_from_the_users_file_or_on_trust(
    imported: Imported, tmp_path: Path
) -> None:
    folder, _ = written(imported, tmp_path)
    name_code(folder, "strange_two", "strange_two.letters")
    assert rescore_cell(folder).left
    mine = tmp_path / "strange_two.py"
    mine.write_text(OWN.format(name="my_letters", value=0.5))
    load_extensions([str(mine)])
    ((_, _, after),) = rescore_cell(folder).blocks
    assert after.get("my_letters") == 50.0
    name_code(folder, "strange_three", "strange_three.letters")
    ((_, _, after),) = rescore_cell(folder, trust=True).blocks
    assert after.get("strange_three_letters") == 75.0
    assert (folder / "proof").exists()


def test_a_metric_that_was_edited_scores_done_cells_again(imported: Imported, tmp_path: Path) -> None:
    """Before: a mean over seeds took both definitions of one name."""
    folder, _ = written(imported, tmp_path)
    mine = tmp_path / "edited_letters.py"
    mine.write_text(OWN.format(name="edited", value=0.5))
    chosen = Selection(("edited_letters.letters",), (str(mine),))
    first = rescored(folder, chosen)
    assert not is_behind(first, chosen)
    mine.write_text(OWN.format(name="edited", value=0.75))
    assert is_behind(first, chosen)
    second = rescored(folder, chosen)
    assert not is_behind(second, chosen)
    codes = [one.blocks[0].metrics[0].code for one in (first, second)]
    assert len(set(codes)) == 2
    assert codes[1] == sha256_of(mine)
    unknown = replace(second.blocks[0], metrics=(replace(second.blocks[0].metrics[0], code=""),))
    assert not is_behind(replace(second, blocks=(unknown,)), chosen), "an early record does not say"


def rescored(folder: Path, metrics: Selection) -> CellRecord:
    assert not rescore_cell(folder, metrics).left
    record = read_record(folder)
    assert record is not None
    return record


def test_expected_scores_of_a_baseline_stay(imported: Imported, tmp_path: Path) -> None:
    folder, _ = written(spoiled(imported, expected=True), tmp_path)
    assert not rescore_cell(folder).changed


def test_cells_at_work_or_not_done_are_left(imported: Imported, tmp_path: Path) -> None:
    folder, record = written(spoiled(imported), tmp_path)
    with locked(folder):
        assert "is being run by" in rescore_cell(folder).left
    write_record(folder, replace(record, state="interrupted", blocks=()))
    assert rescore_cell(folder).left == "is interrupted"
    write_record(folder, replace(record, state="running", blocks=()))  # and its process is gone
    assert rescore_cell(folder).left == "is interrupted"


def test_lost_predictions_are_a_users_error_and_change_nothing(imported: Imported, tmp_path: Path) -> None:
    folder, record = written(spoiled(imported), tmp_path)
    (folder / record.blocks[0].predictions).unlink()
    assert "cannot read the predictions" in rescore_cell(folder).left
    assert read_record(folder) == record


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_predictions_cut_short_are_left(imported: Imported, tmp_path: Path, share: float) -> None:
    folder, record = written(spoiled(imported), tmp_path)
    path = folder / record.blocks[0].predictions
    os.truncate(path, int(path.stat().st_size * share))
    assert "is damaged: it holds" in rescore_cell(folder).left
    assert read_record(folder) == record


def test_no_study(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no cells under"):
        rescore_study(tmp_path)


def test_a_metric_of_whole_answers_leaves_cells_whose_answers_were_cut(tmp_path: Path) -> None:
    study = small_study(tmp_path / "s")
    folders = sorted(path.parent for path in study.glob("*/record.json"))
    for folder in folders:
        (folder / "config.yaml").write_text("evaluation: {cut_wrong_answers: true}\n")
    left = rescore_cell(folders[0], Selection(("lenient_match",))).left
    assert "lenient_match reads whole answers" in left
    (folders[0] / "config.yaml").write_text("evaluation: {cut_wrong_answers: false, answer_slack: 0}\n")
    assert "answer_slack=0" in rescore_cell(folders[0], Selection(("lenient_match",))).left
    (folders[0] / "config.yaml").write_text("evaluation: {cut_wrong_answers: false, answer_slack: null}\n")
    assert rescore_cell(folders[0], Selection(("lenient_match",))).left == ""


LIKELY = Selection(("reference_log_likelihood",))


def with_likelihoods(imported: Imported, rows: int) -> Imported:
    """The first so many predictions with what a model held of their references."""
    told = [
        replace(row, likelihoods=(Likelihood(-1.0 - at, 2, 8),)) if at < rows else row
        for at, row in enumerate(imported.rows)
    ]
    return replace(imported, rows=tuple(told))


def test_what_is_made_of_the_model_comes_from_the_stored_values(imported: Imported, tmp_path: Path) -> None:
    folder, record = written(with_likelihoods(imported, 6), tmp_path)
    assert is_behind(record, LIKELY)
    result = rescore_cell(folder, LIKELY)
    ((_, _, after),) = result.blocks
    assert (after.get("reference_log_likelihood"), result.needs_model) == (-1.75, ())
    assert after.get("reference_log_likelihood_per_byte") == -3.5 / 8
    scored = read_record(folder)
    assert scored is not None
    assert not is_behind(scored, LIKELY)
    assert [one.name for one in scored.blocks[0].metrics if one.reads == "model"] == [
        "reference_log_likelihood",
        "reference_log_likelihood_per_byte",
    ]
    assert not check_cell(folder, LIKELY).changed
    assert lacks_model(scored, LIKELY) == ()


def test_general_ability_is_scored_again_in_its_own_place_and_by_our_metrics_alone(
    imported: Imported, tmp_path: Path
) -> None:
    folder, record = written(with_likelihoods(spoiled(imported), 6), tmp_path)
    (block,) = record.blocks
    (folder / GENERAL_FILE).write_bytes((folder / block.predictions).read_bytes())
    general = replace(block, instruction=GENERAL, predictions=GENERAL_FILE, instances="")
    write_record(folder, replace(record, general=general))
    found = check_cell(folder, LIKELY)
    assert {name for name, *_ in found.blocks} == {block.instruction, GENERAL}
    assert rescore_cell(folder, LIKELY).changed
    after = read_record(folder)
    assert after is not None
    assert after.general is not None
    assert [one.instruction for one in after.blocks] == [block.instruction]
    assert (after.general.instruction, after.general.predictions) == (GENERAL, GENERAL_FILE)
    assert after.general.scores == imported.scores
    overall = after.blocks[0].scores.overall
    assert (overall.get("exact_match"), overall.get("reference_log_likelihood")) == (50.0, -1.75)


def test_values_of_a_metric_that_is_not_here_stay(imported: Imported, tmp_path: Path) -> None:
    told = [
        replace(row, values=(*row.values, ("elsewhere", at / 10))) for at, row in enumerate(imported.rows)
    ]
    folder, record = written(replace(spoiled(imported), rows=tuple(told)), tmp_path)
    there = replace(record.blocks[0], metrics=(MetricDescription("elsewhere", "elsewhere"),))
    write_record(folder, replace(record, blocks=(there,)))
    assert rescore_cell(folder).stayed == ("elsewhere",)
    after = read_record(folder)
    assert after is not None
    overall = after.blocks[0].scores.overall
    assert (overall.get("exact_match"), overall.get("elsewhere")) == (50.0, pytest.approx(25.0))
    assert [one.name for one in after.blocks[0].metrics] == ["elsewhere"]
    rows = read_predictions(folder / after.blocks[0].predictions)
    assert [row.get("elsewhere") for row in rows] == [at / 10 for at in range(6)]
    columns = read_columns(folder, after.blocks[0].instances)
    assert columns.column("elsewhere").to_pylist() == [at / 10 for at in range(6)]


@pytest.mark.parametrize("rows", [0, 4])
def test_without_stored_values_the_model_is_needed_and_nothing_is_made_up(
    imported: Imported, tmp_path: Path, rows: int
) -> None:
    """Nor is a mean over some shown as the mean over all."""
    folder, _ = written(with_likelihoods(imported, rows), tmp_path)
    for _ in range(2):  # it is said each time
        result = rescore_cell(folder, LIKELY)
        assert result.needs_model == ("reference_log_likelihood", "reference_log_likelihood_per_byte")
    after = read_record(folder)
    assert after is not None
    assert after.blocks[0].scores.overall.get("reference_log_likelihood") is None
    assert lacks_model(after, LIKELY) == result.needs_model
    assert lacks_model(after, Selection()) == ()
    done = CliRunner().invoke(command, [str(folder.parent), "--metric", "reference_log_likelihood"])
    (line,) = [line for line in done.output.splitlines() if "needs the model" in line]
    assert line.startswith(f"{folder.name}: reference_log_likelihood, ")


def test_a_metric_that_is_misspelt_is_told_once(imported: Imported, tmp_path: Path) -> None:
    folder, _ = written(spoiled(imported), tmp_path)
    before = (folder / "record.json").read_bytes()
    with pytest.raises(UserError, match="exct_match"):
        rescore_study(tmp_path / "study", Selection(("exct_match",)))
    with pytest.raises(UserError, match=r"nothere\.py"):
        rescore_study(tmp_path / "study", Selection((), ("nothere.py",)))
    assert (folder / "record.json").read_bytes() == before
