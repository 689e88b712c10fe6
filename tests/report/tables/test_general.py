"""General ability in a study of real cells: recomputed by hand from the prediction files, and apart from the tests."""

from __future__ import annotations

import csv
import json
import random
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.archive.pack import pack
from instruct_ablate.archive.replay import replay
from instruct_ablate.cell.after.rescore import check_cell, rescore_study
from instruct_ablate.cell.mirror.score_keys import block_scores, main_scores
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.record.record import GENERAL, GENERAL_FILE, CellRecord
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.grid.study import read_study
from instruct_ablate.model.decoding import predict as predicting
from instruct_ablate.report.as_json import report_fields
from instruct_ablate.report.compare import compare_studies
from instruct_ablate.report.report import judge_study, report_lines, write_report
from instruct_ablate.report.rows.seed_means import Mean, build_rows
from instruct_ablate.report.rows.trials import Trial
from instruct_ablate.report.show import Selection, select_rows
from instruct_ablate.report.tables.general import NO_UNTUNED, General, general_abilities, general_lines
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    EvaluationConfig,
    InstructionConfig,
    ModelConfig,
    PromptConfig,
    TasksConfig,
    TrainerConfig,
)
from tests.report.cells import place as setting_of
from tests.standins import make_config

ODD = ["0", "00", "a/b", 'q"uote', "é ü", "7" * 90, "-1", "x.jsonl"]
COLUMNS = {"input": "text", "output": "right", "id": "key", "choices": "options"}


def questions(folder: Path) -> dict[str, Any]:
    """A collection of one task with ids that file systems and spreadsheets would make others of."""
    path = folder / "questions.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"text": f"question {n}", "right": f"w{n}", "key": key, "options": [f"w{n}", f"v{n}", f"u{n}"]}
        for n, key in enumerate(ODD)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return {
        "reader": "hf_dataset",
        "root": str(path),
        "test_split": "train",
        "columns": COLUMNS,
        "definition": "Answer.",
    }


EVERYDAY = {"reader": "everyday", "test_tasks": 3}


def config_of(
    folder: Path, budget: int = 1, seed: int = 0, variant: str = "original", **changes: Any
) -> Config:
    general = changes.pop("general", EVERYDAY)
    trainer = TrainerConfig(
        batch_size=4,
        precision="fp32",
        accelerator="cpu",
        progress=False,
        threads=1,
        learning_rate=0.01,
        epochs=4,
    )
    fields = {
        "tasks": TasksConfig("starter", test_tasks=2, test_instances=3),
        "instruction": InstructionConfig(variant),
        "data_budget": BudgetConfig(budget, tasks=2 if budget else None),
        "prompt": PromptConfig("plain+set_12/bars", 512, 8),  # two axes at once: templates and variants
        "evaluation": EvaluationConfig(general=general),
        "trainer": trainer,
        "seed": seed,
        "reuse": "none",
        **changes,
    }
    return make_config(folder, **fields)


def done(config: Config) -> CellRecord:
    record = run_cell(config)
    assert record.state == "done", record.failure
    return record


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("general")
    done(config_of(folder, 0))
    for variant in ("original", "simplified"):
        for seed in (0, 1):
            done(config_of(folder, seed=seed, variant=variant))
    return folder / "ablation"


def right(cell: Path) -> dict[tuple[str, str], float]:
    """What lies on disk, read without the package: 100 for a right answer."""
    rows = [json.loads(line) for line in (cell / GENERAL_FILE).read_text().splitlines()]
    return {
        (row["task"], row["instance_id"]): 100.0 * (row["prediction"] == row["references"][0]) for row in rows
    }


def by_hand(before: dict[tuple[str, str], float], after: dict[tuple[str, str], float]) -> float:
    """The mean over tasks of what the same questions lost."""
    assert before.keys() == after.keys()
    tasks: dict[str, list[float]] = {}
    for (task, one), value in before.items():
        tasks.setdefault(task, []).append(value - after[task, one])
    return statistics.fmean(map(statistics.fmean, tasks.values()))


def cells(study: Path, part: str) -> list[Path]:
    return [path.parent for path in sorted(study.glob(f"*{part}*/record.json"))]


def test_forgetting_is_that_of_the_prediction_files(study: Path) -> None:
    (untuned,) = cells(study, "-untuned-")
    report = write_report(study)
    shown = {line["trained on"]: line for line in csv.DictReader((report.folder / "general.csv").open())}
    assert [len(right(untuned)), len({task for task, _ in right(untuned)})] == [30, 3]
    for variant in ("original", "simplified"):
        lost = [by_hand(right(untuned), right(cell)) for cell in cells(study, f"-{variant}-")]
        assert len(lost) == 2
        line = shown[variant]
        assert float(line["forgetting"]) == pytest.approx(statistics.fmean(lost), abs=0.006)
        assert (line["seeds"], line["tasks"]) == ("2", "3")
        (row,) = [one for one in report.rows if one.setting.instruction == variant]
        assert row.forgetting is not None
        assert row.general is not None
        assert row.forgetting.value == pytest.approx(statistics.fmean(lost))
        assert row.forgetting.deviation == pytest.approx(statistics.stdev(lost))
        held = [statistics.fmean(right(cell).values()) for cell in cells(study, f"-{variant}-")]
        assert row.general.value == pytest.approx(statistics.fmean(held))  # tasks of as many questions each
    assert any(line["forgetting"] not in ("-", "+0.00") for line in shown.values()), (
        "a test of zeros shows little"
    )
    for place in ("main.csv", "index.html", "general.md", "general.tex"):
        assert "forgetting" in (report.folder / place).read_text(), place
    fields = report_fields(report)
    assert {one["forgetting"] and round(one["forgetting"]["value"], 6) for one in fields["general"]} == {
        one.forgetting and round(one.forgetting.value, 6) for one in report.general
    }
    low, high = fields["general"][1]["low"], fields["general"][1]["high"]
    assert low < fields["general"][1]["forgetting"]["value"] < high


def test_the_interval_is_paired_over_questions(study: Path) -> None:
    known = general_abilities(read_study(study).cells, "original", study)
    blind = general_abilities(read_study(study).cells, "original")
    trained = [one for one in known if one.comparison]
    assert len(trained) == 2
    floors = [(one.comparison.floor, other.comparison.floor) for one, other in zip(known, blind, strict=True)
              if one.comparison and other.comparison]  # fmt: skip
    assert all(one != other for one, other in floors)


def test_tests_and_their_tables_know_nothing_of_it(study: Path) -> None:
    own = read_study(study).cells
    without = [replace(cell, general=None) for cell in own]
    pairs = list(zip(build_rows(own), build_rows(without), strict=True))
    assert all(replace(one, general=None, forgetting=None) == other for one, other in pairs)
    assert all(main_scores(cell) == main_scores(replace(cell, general=None)) for cell in own)
    keys = {key for key in block_scores(own[0]) if key.startswith("eval/general/")}
    assert "eval/general/exact_match" in keys
    assert keys == block_scores(own[0]).keys() - block_scores(without[0]).keys()
    assert not any(
        "everyday" in line for line in (write_report(study).folder / "tasks.csv").read_text().splitlines()
    )


def test_without_an_untuned_cell_that_is_said(study: Path, tmp_path: Path) -> None:
    alone = tmp_path / "ablation"
    shutil.copytree(study, alone)
    shutil.rmtree(cells(alone, "-untuned-")[0])
    found = general_abilities(read_study(alone).cells, "original", alone)
    assert all(one.forgetting is None and one.interval is None for one in found)
    assert list(general_lines(found)) == [f"2 of 2 trained settings: {NO_UNTUNED}"]
    assert any(NO_UNTUNED in line for line in report_lines(judge_study(alone)))


def test_another_order_of_rows_gives_the_same(study: Path, tmp_path: Path) -> None:
    other = tmp_path / "ablation"
    shutil.copytree(study, other)
    draw = random.Random(3)
    for path in other.glob(f"*/{GENERAL_FILE}"):
        lines = path.read_text().splitlines(keepends=True)
        draw.shuffle(lines)
        path.write_text("".join(lines))
    assert not any(one.left or one.changed for one in rescore_study(other))
    before, after = (general_abilities(read_study(one).cells, "original", one) for one in (study, other))
    assert [one.forgetting for one in before] == [one.forgetting for one in after]
    assert [one.interval for one in before] == [one.interval for one in after]
    table, _ = compare_studies(study, other)
    lines = [line for line in table.lines if GENERAL in line]
    assert len(lines) == 5, "general of three settings, forgetting of two"
    assert all(line[-1] == "yes" for line in lines)


def test_compare_tells_what_one_study_forgot_more(study: Path, tmp_path: Path) -> None:
    other = tmp_path / "ablation"
    shutil.copytree(study, other)
    for cell in cells(other, "-original-"):
        path = cell / GENERAL_FILE
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row["prediction"] = row["references"][0]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert sum(one.changed for one in rescore_study(other)) == 2
    table, _ = compare_studies(study, other)
    told = {line[-7]: line[-6] for line in table.lines if GENERAL in line and "original" in line}
    more = statistics.fmean(
        100 - statistics.fmean(right(cell).values()) for cell in cells(study, "-original-")
    )
    assert more > 0
    assert float(told["general"]) == pytest.approx(more, abs=0.006)
    assert float(told["forgetting"]) == pytest.approx(-more, abs=0.006)


def test_archive_show_and_damage(study: Path, tmp_path: Path) -> None:
    pack(study, tmp_path / "study.tar.gz")
    again = replay(tmp_path / "study.tar.gz", tmp_path / "back")
    assert again.same
    assert not again.unscored
    assert len(list(again.study.glob(f"*/{GENERAL_FILE}"))) == 5
    (untuned,) = cells(again.study, "-untuned-")
    assert len(select_rows(untuned, Selection(tested=GENERAL))) == 30
    assert not any(one.tested == GENERAL for one in select_rows(untuned, Selection()))
    path = untuned / GENERAL_FILE
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert "29 predictions" in check_cell(untuned).left
    path.unlink()
    assert "cannot read the predictions" in check_cell(untuned).left
    lacking = pack(again.study, tmp_path / "damaged.tar.gz").lacking
    assert [one.endswith(GENERAL_FILE) for one in lacking] == [True]
    record = read_record(untuned)
    assert record is not None
    assert record.general is not None
    write_record(
        untuned, replace(record, general=replace(record.general, predictions="../../elsewhere.jsonl"))
    )
    assert read_record(untuned) is None, "a record that names a file outside its folder is none"


def test_a_cell_that_is_killed_in_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = predicting.predict

    def stopping(checkpoint: Any, prompts: Any, config: Any, finished: Any = (), *more: Any) -> Iterator[Any]:
        ranked = config.evaluation.decoding == "rank"
        for number, one in enumerate(real(checkpoint, prompts, config, finished, *more)):
            if ranked and not asked and number == 4:
                asked.append(number)
                raise KeyboardInterrupt
            asked.extend([number] if asked and ranked else [])
            yield one

    config = config_of(tmp_path, general=questions(tmp_path), prompt=PromptConfig("plain", 512, 8))
    monkeypatch.setattr(predicting, "predict", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_cell(config)
    record = done(config)
    assert len(asked) == 1 + len(ODD) - 4, "what was written already is not asked again"
    assert record.general is not None
    assert record.general.scores.overall.instances == len(ODD)
    whole = done(replace(config, study="other"))
    assert whole.general == record.general
    rows = right(tmp_path / "ablation" / record.name)
    assert {one for _, one in rows} == set(ODD)


def test_the_untuned_cell_is_taken_over_with_it(tmp_path: Path) -> None:
    config = replace(config_of(tmp_path, 0, general=questions(tmp_path)), reuse="untuned")
    first = done(config)
    second = done(replace(config, study="second"))
    assert "taken over" in second.notes[-1]
    assert second.general == first.general
    own = tmp_path / "second" / second.name
    assert right(own) == right(tmp_path / "ablation" / first.name)
    path = own / GENERAL_FILE
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["prediction"] = next(one for one in lines[0]["choices"] if one != lines[0]["prediction"])
    for place in (own, tmp_path / "ablation" / first.name):
        (place / GENERAL_FILE).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    third = done(replace(config, study="third"))
    assert not any("taken over" in note for note in third.notes), (
        "its scores are not those of its predictions"
    )
    assert third.general is not None
    assert first.general is not None
    assert third.general.scores == first.general.scores


def test_a_baseline_has_none(tmp_path: Path) -> None:
    guess = done(config_of(tmp_path, 0, model=ModelConfig("uniform_guess", source="baseline")))
    assert guess.general is None
    (row,) = build_rows([guess])
    assert (row.general, row.forgetting) == (None, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"revisions": {"prompt": "a"}, "prompt.training_template": "own/one"}, "training_template counts"),
        (
            {"revisions": {"prompt": "a"}, "prompt.training_template": "first"},
            "differs in the texts of templates",
        ),
        ({"revisions": {"tasks": "d"}}, "differs in the content of tasks"),
        ({"prompt": "alpaca"}, "differs in prompt"),
        ({"model": "another"}, NO_UNTUNED),
    ],
)
def test_the_reason_is_what_an_untuned_model_that_is_done_differs_in(
    changes: dict[str, Any], said: str
) -> None:
    made = [changes, {"model": "majority", "data_budget": 0}, {"data_budget": 0}]
    settings = [setting_of(**one) for one in made]
    found = [General(Trial(setting, GENERAL), Mean(50.0, None, 1)) for setting in settings]
    (line,) = general_lines(found)
    assert line.startswith("1 of 1 trained setting: ")
    assert line.endswith(said) or said in line
    assert (NO_UNTUNED in line) is (said == NO_UNTUNED)
