"""A replay gives the archived tables byte for byte, and says where a score does not follow from its predictions."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from instruct_ablate.archive import pack as pack_module
from instruct_ablate.archive import replay as module
from instruct_ablate.archive.manifest import REPORT, STUDY, Entry, Manifest
from instruct_ablate.archive.pack import pack
from instruct_ablate.archive.replay import Replayed
from instruct_ablate.cell.after.hashed_setting import setting_fault
from instruct_ablate.cell.after.rescore import Rescored, check_cell, rescore_study
from instruct_ablate.cell.state.record.predictions import read_predictions, to_line
from instruct_ablate.cell.state.record.record import SCORING
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.grid.history.stated import state
from instruct_ablate.metrics import Selection
from instruct_ablate.prompt.prompt import Likelihood
from tests.report.cells import make_cell
from tests.report.studies import write_study

CLAIM = "simplified equals original on exact_match within 5 points"


@pytest.fixture(autouse=True)
def _hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """These cells were never run: nothing was hashed of them, and their settings are taken as they are."""
    monkeypatch.setattr("instruct_ablate.cell.after.rescore.setting_fault", lambda folder, record: "")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cells = [
        make_cell(50.0, seed=seed, instruction=name) for name in ("original", "simplified") for seed in (0, 1)
    ]
    folder = write_study(tmp_path_factory.mktemp("multirun") / "s", cells, (CLAIM,))
    state(folder, (CLAIM,), "original", ())
    rescore_study(folder)
    return folder


def replay(*words: str) -> Result:
    return CliRunner().invoke(group, ["replay", *words])


def test_the_same_tables_and_no_code(study: Path, tmp_path: Path) -> None:
    archived = CliRunner().invoke(group, ["archive", str(study), str(tmp_path / "a.tar.zst")])
    assert archived.exit_code == 0, archived.output
    assert "4 cells" in archived.output
    result = replay(str(tmp_path / "a.tar.zst"), "--output", str(tmp_path / "r"))
    assert result.exit_code == 0, result.output
    assert "tables: 16 of 16 the same, byte for byte" in result.output
    assert "scores: those of 4 cells follow from their predictions" in result.output
    assert CLAIM in (tmp_path / "r" / "report" / "verdicts.txt").read_text()


def test_a_score_that_its_predictions_do_not_give(study: Path, tmp_path: Path) -> None:
    name = make_cell(50.0).name
    path = study / name / "predictions" / "original.jsonl"
    text = path.read_text()
    path.write_text(text.replace('"prediction": "positive"', '"prediction": "negative"', 1))
    try:
        pack(study, tmp_path / "a.zip")
    finally:
        path.write_text(text)
    result = replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"), "--commands", "show")
    assert result.exit_code == 1
    assert f"do not: {name}\n" in result.output


def repacked(study: Path, tmp_path: Path, *gone: str) -> Result:
    """Replay an archive of the study from which some files of a cell were taken, and its report made to suit."""
    own = tmp_path / "s"
    shutil.copytree(study, own)
    for name in gone:
        (own / name).unlink()
    everything = tuple(path for path in own.rglob("*") if path.is_file() and "predictions" in path.parts)
    real = pack_module._of_blocks  # of a cell without a record nothing would be packed
    folder = own / Path(gone[0]).parts[0]

    def of_blocks(cell: Any) -> Any:
        lying = [path.relative_to(folder).as_posix() for path in everything if folder in path.parents]
        return lying if cell.name == folder.name else real(cell)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pack_module, "_of_blocks", of_blocks)
        pack(own, tmp_path / "a.zip")
    return replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"))


def test_a_cell_whose_record_is_gone_is_named_and_counted(study: Path, tmp_path: Path) -> None:
    """Before: "those of 3 cells follow" and status 0."""
    name = make_cell(50.0).name
    result = repacked(study, tmp_path, f"{name}/record.json")
    assert result.exit_code == 1, result.output
    assert "scores: those of 3 of 4 cells follow from their predictions" in result.output
    assert f"not scored again: {name}: has no record.json\n" in result.output


def test_a_cell_that_has_not_ended_is_named_and_no_fault(study: Path, tmp_path: Path) -> None:
    name = make_cell(50.0).name
    folder = study / name
    files = [path.relative_to(study).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    result = repacked(study, tmp_path, f"{name}/record.json", *(one for one in files if "predictions" in one))
    assert result.exit_code == 0, result.output
    assert "scores: those of 3 of 4 cells follow from their predictions" in result.output
    assert f"not scored again: {name}: has no record.json\n" in result.output


@pytest.mark.parametrize("level", ["task_mean", "kinds", "categories"])
def test_a_mean_that_tables_show_is_held_against_the_predictions_wherever_it_stands(
    level: str, study: Path, tmp_path: Path
) -> None:
    """The main table's columns are means of kinds; overall and the tasks' scores alone would leave them unseen."""
    own = tmp_path / "s"
    shutil.copytree(study, own)
    folder = own / make_cell(50.0).name
    record = read_record(folder)
    assert record is not None
    (block,) = record.blocks
    scores, first = block.scores, getattr(block.scores, level)
    means = first if isinstance(first, tuple) else (first,)
    better = tuple(
        replace(
            one, values=tuple((name, 99.0 if name == "exact_match" else value) for name, value in one.values)
        )
        for one in means
    )
    changed = replace(scores, **{level: better if isinstance(first, tuple) else better[0]})
    write_record(folder, replace(record, blocks=(replace(block, scores=changed),)))
    pack(own, tmp_path / "a.zip")
    result = replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"))
    assert result.exit_code == 1, result.output
    assert f"do not: {folder.name}\n" in result.output
    assert "scores: those of 3 of 4 cells follow" in result.output


def test_values_of_a_metric_that_a_study_was_scored_by_later_are_held_too(
    study: Path, tmp_path: Path
) -> None:
    """The package has its code, so that "not scored again" let any number of it pass."""
    own = tmp_path / "s"
    shutil.copytree(study, own)
    rescore_study(own, Selection(("lenient_match",)))
    pack(own, tmp_path / "true.zip")
    true = replay(str(tmp_path / "true.zip"), "--output", str(tmp_path / "t"))
    assert (true.exit_code, "not scored again" in true.output) == (0, False), true.output
    folder = own / make_cell(50.0).name
    record = read_record(folder)
    assert record is not None
    (block,) = record.blocks
    overall = block.scores.overall
    forged = tuple((name, 99.0 if name == "lenient_match" else value) for name, value in overall.values)
    changed = replace(block, scores=replace(block.scores, overall=replace(overall, values=forged)))
    write_record(folder, replace(record, blocks=(changed,)))
    pack(own, tmp_path / "a.zip")
    result = replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"))
    assert result.exit_code == 1, result.output
    assert f"do not: {folder.name}\n" in result.output


def test_single_scores_that_their_predictions_do_not_give_are_told(study: Path, tmp_path: Path) -> None:
    """Means stay where instances of a task change places; what is said of how sure they are does not."""
    import pyarrow as pa
    from pyarrow import parquet

    own = tmp_path / "s"
    shutil.copytree(study, own)
    folder = own / make_cell(50.0).name
    path = folder / "scores" / "original.parquet"
    table = parquet.read_table(path)
    place = table.column_names.index("exact_match")
    turned = pa.array(table.column(place).to_pylist()[::-1], pa.float64())
    parquet.write_table(table.set_column(place, "exact_match", turned), path)
    pack(own, tmp_path / "a.zip")
    result = replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"))
    assert result.exit_code == 1, result.output
    assert f"before they were archived: {folder.name}: scores/original.parquet" in result.output
    path.unlink()
    assert check_cell(folder).edited == ()


def test_a_setting_that_was_not_hashed_is_told(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "instruct_ablate.cell.after.rescore.setting_fault"
    monkeypatch.setattr(place, lambda folder, record: "seed is 1" if record.seed else "")
    pack(study, tmp_path / "a.zip")
    result = replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"))
    assert result.exit_code == 1
    assert "settings: those of 2 of 4 cells are the ones that were hashed" in result.output
    assert f"  is not: {make_cell(50.0, seed=1).name}: seed is 1" in result.output


def test_what_cannot_be_held_is_counted_named_and_no_success(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: a cell whose predictions or hashed setting were taken out of the archive left status 0."""
    own = Path(shutil.copytree(study, tmp_path / "s"))
    monkeypatch.setattr("instruct_ablate.cell.after.rescore.setting_fault", setting_fault)
    (own / make_cell(50.0).name / "predictions" / "original.jsonl").write_text("")
    pack(own, tmp_path / "a.zip")
    result = replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"))
    assert result.exit_code == 1
    assert "scores: those of 3 of 4 cells follow" in result.output
    assert f"  not scored again: {make_cell(50.0).name}: " in result.output
    assert "settings: those of 0 of 4 cells are" in result.output
    assert f"  is not: {make_cell(50.0).name}: it has no identity.json" in result.output
    checked = check_cell(own / make_cell(50.0).name)
    assert (checked.unheld, check_cell(own / make_cell(50.0, seed=1).name).unheld) == (True, False)
    (own / make_cell(50.0).name / "record.json").write_text("[")
    assert check_cell(own / make_cell(50.0).name).unheld


def test_a_score_by_earlier_rules_is_told_as_one(study: Path, tmp_path: Path) -> None:
    """Before: of an archive from before a rule changed it was said that its scores do not follow."""
    folder = Path(shutil.copytree(study, tmp_path / "multirun" / "s"))
    path = folder / make_cell(50.0).name
    record = read_record(path)
    assert record is not None
    block = record.blocks[0]
    overall = block.scores.overall
    other = replace(overall, values=tuple((name, 7.0) for name, _ in overall.values))
    before = replace(block, scores=replace(block.scores, overall=other), scoring=SCORING - 1)
    write_record(path, replace(record, blocks=(before, *record.blocks[1:])))
    pack(folder, tmp_path / "a.zip")
    result = replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"))
    assert result.exit_code == 1
    assert (
        f"do not: {record.name} (they were made by version {SCORING - 1} of the scoring rules, and are held against "
        f"version {SCORING})" in result.output
    )


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    assert isinstance(replay(str(tmp_path / "none.zip")).exception, UserError)
    assert isinstance(replay(str(tmp_path / "none.zip"), "--limit", "nan").exception, UserError)
    wrong = replay(str(tmp_path / "none.zip"), "--extensions", str(tmp_path / "none.py"))
    assert "is not a Python file" in str(wrong.exception)


def test_likelihoods_of_references_are_archived_and_replayed(tmp_path: Path) -> None:
    """What only the model could say lies with the predictions, so a replay needs no model."""
    cells = [make_cell(50.0, seed=seed) for seed in (0, 1)]
    folder = write_study(tmp_path / "s", cells)
    for cell in cells:
        path = folder / cell.name / "predictions" / "original.jsonl"
        rows = read_predictions(path)
        told = [replace(row, likelihoods=(Likelihood(-1.0 - at, 2, 8),)) for at, row in enumerate(rows)]
        path.write_text("".join(f"{to_line(row)}\n" for row in told))
    rescore_study(folder, Selection(("reference_log_likelihood",)))
    pack(folder, tmp_path / "a.zip")
    result = replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"))
    assert result.exit_code == 0, result.output
    assert "byte for byte" in result.output
    assert "scores: those of 2 cells follow from their predictions" in result.output
    table = (tmp_path / "r" / "report" / "main.csv").read_text()
    assert "-1.25" in table, table


def packed_with(study: Path, folder: Path, edits: dict[str, tuple[str, str]]) -> Path:
    """Pack a study whose report an earlier version wrote in other words, or with other numbers."""
    from instruct_ablate.archive import pack as module
    from instruct_ablate.report.report import write_report

    def edited(study: Path, report: Path) -> object:
        made = write_report(study, report)
        for name, (now, then) in edits.items():
            text = (report / name).read_text()
            assert now in text
            (report / name).write_text(text.replace(now, then))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "write_report", edited)
        pack(study, folder / "a.zip")
    return folder / "a.zip"


def test_other_words_around_the_same_numbers_are_no_difference(study: Path, tmp_path: Path) -> None:
    """Before: every archive of an earlier version was said to differ, for a caption's wording."""
    archive = packed_with(
        study,
        tmp_path,
        {
            "main.tex": ("scores by trained on", "results by what was trained on"),
            "main.csv": ("50.00", "50.0"),
        },
    )
    result = replay(str(archive), "--output", str(tmp_path / "r"))
    assert result.exit_code == 0, result.output
    assert "tables: 14 of 16 the same, byte for byte" in result.output
    for name in ("main.tex", "main.csv"):
        assert f"  the same numbers, in other words: {name}\n" in result.output
    assert "differs" not in result.output


def test_other_numbers_are_a_difference_wherever_they_stand(study: Path, tmp_path: Path) -> None:
    archive = packed_with(
        study,
        tmp_path,
        {
            "main.csv": ("original,50.00", "original,50.01"),
            "main.tex": ("over 2 seeds", "over 3 seeds"),
            "verdicts.txt": ("uninformative: simplified", "supported: simplified"),
        },
    )
    result = replay(str(archive), "--output", str(tmp_path / "r"))
    assert result.exit_code == 1
    assert "  differs: main.csv\n" in result.output
    assert (
        "  differs: main.tex (its rows are the same; a number or an answer around them is not)\n"
        in result.output
    )
    assert "  differs: verdicts.txt\n" in result.output
    assert "tables: 13 of 16 the same" in result.output


@dataclass
class Standing:
    """An archive's tables, those that are made now and what scoring its cells again gives; what each step is given."""

    archived: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    cells: dict[str, Rescored] = field(default_factory=dict)
    given: list[object] = field(default_factory=list)

    def unpack(self, archive: Path, target: Path, limit: int) -> Manifest:
        self.given.append(limit)
        (target / STUDY / "s").mkdir(parents=True)
        for name in self.cells:
            (target / STUDY / "s" / name).mkdir(parents=True)
            (target / STUDY / "s" / name / "record.json").touch()
        self.write(target / STUDY / "s", target / REPORT, self.archived)
        digests = {f"{REPORT}/{name}": hashlib.sha256(text.encode()) for name, text in self.archived.items()}
        return Manifest("s", tuple(Entry(name, 1, digest.hexdigest()) for name, digest in digests.items()))

    def write(self, study: Path, report: Path, texts: dict[str, str] | None = None) -> None:
        for name, text in (self.made if texts is None else texts).items():
            (report / name).parent.mkdir(parents=True, exist_ok=True)
            (report / name).write_text(text)

    def check(self, folder: Path, metrics: Selection, trust: bool) -> Rescored:
        self.given += [metrics, trust]
        return self.cells[folder.name]

    def replayed(self, folder: Path, **given: Any) -> Replayed:
        with pytest.MonkeyPatch.context() as patch:
            for name, stand_in in (
                ("unpack", self.unpack), ("write_report", self.write), ("check_cell", self.check)
            ):  # fmt: skip
                patch.setattr(module, name, stand_in)
            return module.replay(Path("a.zip"), folder / "r", **given)


def test_a_table_on_one_side_alone_differs_and_figures_are_told_apart(tmp_path: Path) -> None:
    archived = {"a.csv": "x,1", "old.csv": "x,1", "page.html": "old", "data/b.csv": "x,1", "c.svg": "same"}
    made = {"a.csv": "x,1", "new.md": "new", "page.html": "new", "data/b.csv": "x,2", "c.svg": "same"}
    found = Standing(archived, made).replayed(tmp_path)
    assert (found.tables, found.other_tables) == (1, ("new.md", "old.csv"))
    assert found.other_figures == ("data/b.csv", "page.html")
    assert not found.same
    del archived["old.csv"], made["new.md"]
    assert Standing(archived, made).replayed(tmp_path / "again").same, "figures hang on their libraries"


def test_cells_are_told_apart_by_what_scoring_them_again_gives(tmp_path: Path) -> None:
    before, after = (make_cell(value).blocks[0].scores.overall for value in (50.0, 60.0))
    cells = {
        "a": Rescored("a", (("original", before, before),)),
        "b": Rescored("b", (("original", before, after),)),
        "c": Rescored("c", left="is failed"),
        "d": Rescored("d", (("original", before, before),), stayed=("mine.one", "mine.two")),
        "e": Rescored("e", (("original", before, before),), edited=("predictions/original.jsonl",)),
        "f": Rescored("f", left="damaged", unheld=True, misplaced=""),
    }
    found = Standing(cells=cells).replayed(tmp_path)
    assert (found.scored, found.unequal) == (3, ("b",))
    assert found.unscored == ("c: is failed", "f: damaged")
    assert found.unknown == (("mine.one", 1), ("mine.two", 1))
    assert (found.cells, found.unheld, found.placed) == (6, ("f",), 1)
    assert found.unhashed == ("a", "b", "d", "e")
    assert found.edited == ("e: predictions/original.jsonl",)
    for name, same in (("a", True), ("b", False), ("c", True), ("d", False), ("e", False), ("f", False)):
        assert Standing(cells={name: cells[name]}).replayed(tmp_path / name).same == same


@pytest.mark.parametrize("trust", [True, False])
def test_a_limit_metrics_and_trust_go_where_they_count(tmp_path: Path, trust: bool) -> None:
    one, metrics = Standing(cells={"a": Rescored("a")}), Selection(("rougeL",))
    one.replayed(tmp_path, metrics=metrics, trust=trust, limit=7)
    assert one.given == [7, metrics, trust]
