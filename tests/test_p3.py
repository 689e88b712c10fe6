"""P3 and T0 end to end: local prompt sets in three file formats, two kinds of prompts, ranking, accuracy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instruct_ablate.cell.state.record.predictions import PredictionRow, read_predictions
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import read_record
from tests.grid.small import sweep

Row = Mapping[str, Any]
PAIRS = (
    ("The cat sat", "The animal moved", "No"),
    ("It rained all day", "Streets were wet", "Yes"),
    ("Ann sold her car", "Somebody bought one", "Yes"),
    ("Bo has no money", "He paid in cash", "No"),
)
THINGS = (("glass", "It broke."), ("bell", "It rang."), ("candle", "It went out."))
SMALL = (
    "tasks=p3", "tasks.root=p3", "model=tiny_t5", "prompt=plain", "trainer.max_steps=1", "logger=none",
    "trainer.precision=fp32", "trainer.accelerator=cpu", "trainer.threads=1", "trainer.progress=false",
)  # fmt: skip
SIMPLIFIED = "instruction=original,simplified"


def row(source: str, target: str, choices: tuple[str, ...] | None) -> Row:
    given = {"inputs_pretokenized": f"{source} ", "targets_pretokenized": f"{target}\n<|endoftext|>"}
    return {**given, "answer_choices": list(choices)} if choices else given


def inference(wording: str) -> list[Row]:
    return [row(wording.format(a, b), label, ("Yes", "No")) for a, b, label in PAIRS]


def completion() -> list[Row]:
    events = [event for _, event in THINGS]
    return [
        row(f"Here is what I saw: a {thing} fell. What happened next?", event, (event, f"{events[at - 1]}"))
        for at, (thing, event) in enumerate(THINGS)
    ]


def sentiment() -> list[Row]:
    return [
        row(f"Review: {word} film. Did the reviewer find this movie good or bad?", label, ("good", "bad"))
        for word, label in (("Great", "good"), ("Awful", "bad"), ("Lovely", "good"), ("Dull", "bad"))
    ]


def headline() -> list[Row]:
    return [
        row(f"Write a headline for the following article: {news}.", news, None)
        for news in ("Ann won", "Bo lost")
    ]


def write_lines(path: Path, rows: list[Row]) -> None:
    path.with_suffix(".jsonl").write_text("\n".join(map(json.dumps, rows)))


def write_parquet(path: Path, rows: list[Row]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path.with_suffix(".parquet"))


def write_arrow(path: Path, rows: list[Row]) -> None:
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(f"{path}.arrow", "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)


def write_sets(folder: Path) -> None:
    """Training: sentiment (ranked) and headlines (generated). Testing: three of T0's eleven data sets."""
    folder.mkdir()
    write_arrow(folder / "imdb_good_or_bad", sentiment())
    write_lines(folder / "xsum_headline", headline())
    write_lines(folder / "super_glue_rte_can_we_infer", inference("Suppose {}. Can we infer that {}?"))
    write_parquet(
        folder / "super_glue_rte_does_it_follow", inference("{}. Based on that does it follow that {}?")
    )
    write_arrow(folder / "anli_guaranteed_r2", inference("Given {}. Is it guaranteed that {}?"))
    write_parquet(folder / "super_glue_copa_what_next", completion())


def blocks(study: Path) -> dict[str, tuple[CellRecord, tuple[PredictionRow, ...]]]:
    """Return record and predictions of every cell, by what it was trained on."""
    found = {}
    for path in study.glob("*/record.json"):
        record = read_record(path.parent)
        assert record is not None
        assert record.state == "done"
        name = "untuned" if record.setting.untuned else record.setting.instruction
        found[name] = record, read_predictions(path.parent / record.blocks[0].predictions)
    return found


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grid of the paper's T0 part, in small: untuned, original and simplified prompts, ranking."""
    folder = tmp_path_factory.mktemp("p3")
    write_sets(folder / "p3")
    run = sweep(folder, *SMALL, SIMPLIFIED, "data_budget=3", "evaluation=rank")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "multirun" / "ablation"


def test_every_pick_is_one_of_the_choices(study: Path) -> None:
    found = blocks(study)
    assert set(found) == {"untuned", "original", "simplified"}
    for record, rows in found.values():
        assert record.setting.get("evaluation.decoding") == "rank"
        assert len(rows) == 3 * 4 + 3
        assert all(one.choices and one.prediction in one.choices for one in rows)
        assert all(one.get("exact_match") == float(one.prediction in one.references) for one in rows)
        copa = [one for one in rows if "copa" in one.task]
        assert len({one.choices for one in copa}) == 3, "each instance is ranked over its own choices"


def test_original_prompts_are_the_collection_s_own(study: Path) -> None:
    _, rows = blocks(study)["original"]
    shown = {one.prompt for one in rows}
    assert shown == {
        str(one["inputs_pretokenized"]).strip()
        for rows in (
            inference("Suppose {}. Can we infer that {}?"),
            inference("{}. Based on that does it follow that {}?"),
            inference("Given {}. Is it guaranteed that {}?"),
            completion(),
        )
        for one in rows
    }


def test_of_simplified_prompts_the_choices_alone_stand_before_the_input(study: Path) -> None:
    _, rows = blocks(study)["simplified"]
    for one in rows:
        assert one.choices is not None
        labels = " ".join(f"Label: {choice.rstrip('.')}." for choice in one.choices)
        head, _, rest = one.prompt.partition("\n")
        assert head == labels
        for word in ("Suppose", "infer", "follow", "guaranteed", "saw", "happened", "next"):
            assert word not in rest, "the template's wording is gone"
    first = next(one for one in rows if one.task == "super_glue_rte_can_we_infer")
    assert first.prompt == "Label: Yes. Label: No.\nThe cat sat\nThe animal moved?"


def test_accuracy_by_data_set_is_the_mean_over_its_templates(study: Path) -> None:
    for record, rows in blocks(study).values():
        scores = {one.name: one for one in record.blocks[0].scores.categories}
        assert set(scores) == {"super_glue_rte", "anli_r2", "super_glue_copa"}
        rte = [one.get("exact_match") for one in rows if one.category == "super_glue_rte"]
        assert len(rte) == 8
        assert scores["super_glue_rte"].get("exact_match") == pytest.approx(100 * sum(rte) / 8)
        of_templates = [
            task.score.get("exact_match")
            for task in record.blocks[0].scores.tasks
            if task.category == "super_glue_rte"
        ]
        assert scores["super_glue_rte"].get("exact_match") == pytest.approx(sum(of_templates) / 2)


def test_of_simplified_generation_prompts_nothing_stands_before_the_input(tmp_path: Path) -> None:
    write_sets(tmp_path / "p3")
    run = sweep(
        tmp_path, *SMALL, "tasks.test_split='xsum_*'", "data_budget=0",
        "evaluation.instructions=[original,simplified]",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    (file,) = (tmp_path / "multirun").glob("*/*/predictions/simplified.jsonl")
    assert [one.prompt for one in read_predictions(file)] == ["Ann won.", "Bo lost."]
    original = read_predictions(file.with_name("original.jsonl"))
    assert original[0].prompt == "Write a headline for the following article: Ann won."
    assert {one.kind for one in original} == {"generation"}
