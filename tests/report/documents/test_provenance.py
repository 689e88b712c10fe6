"""Provenance: every cell leads back to its code, data and machine."""

from __future__ import annotations

import json
from dataclasses import replace

from instruct_ablate.cell.state.record.record import Environment, Failure
from instruct_ablate.report.documents.provenance import cell_table, made_with, to_json
from tests.report.cells import make_cell

MADE = Environment(
    "node7", "train.py -m x=1", "abcdef0123456789", "3.11", (("torch", "2.13"),), "cpu", "bf16"
)


def test_every_cell_is_told():
    cell = replace(make_cell(50.0), environment=MADE, data_hash="d" * 64)
    failed = replace(make_cell(None, seed=1), state="failed", failure=Failure("it broke", "trace"))
    one, other = json.loads(to_json([cell, failed]))
    assert one["environment"]["commit"] == "abcdef0123456789"
    assert one["environment"]["versions"] == {"torch": "2.13"}
    assert one["identity"] == cell.identity
    assert other["failure"] == "it broke"


def test_what_cells_have_alike_is_written_for_each_as_json_is():
    versions = (("torch", "2.13"), ("numpy", "2"))
    other = replace(MADE, versions=versions, host='node "8"\n')
    bare = replace(MADE, versions=())
    cells = [
        replace(make_cell(50.0 + seed, seed=seed), environment=made, notes=notes)
        for seed, (made, notes) in enumerate(
            ((MADE, ()), (other, ("a", "b\nc")), (MADE, ()), (bare, ()), (None, ()))
        )
    ]
    for given in (cells, cells[:1], []):
        text = to_json(given)
        assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    found = json.loads(to_json(cells))
    assert [one["environment"].get("versions") for one in found] == [
        dict(MADE.versions), dict(versions), dict(MADE.versions), {}, None,
    ]  # fmt: skip
    assert found[1]["environment"]["host"] == other.host
    plain = [json.loads(json.dumps(dict(cell.setting.values))) for cell in cells]
    assert [one["setting"] for one in found] == plain


def test_equal_numbers_are_written_each_in_its_own_way():
    cells = [make_cell(50.0, seed=seed) for seed in range(3)]
    epochs = [replace(cell, setting=cell.setting.changed(**{"trainer.epochs": value}))
              for cell, value in zip(cells, (1, 1.0, True), strict=True)]  # fmt: skip
    assert epochs[0].setting == epochs[1].setting == epochs[2].setting
    told = [repr(one["setting"]["trainer.epochs"]) for one in json.loads(to_json(epochs))]
    assert told == ["1", "1.0", "True"]


def test_a_line_names_commit_data_and_host():
    cell = replace(make_cell(50.0), environment=MADE, data_hash="d" * 64)
    assert made_with([cell]) == "commit abcdef0123; data dddddddddd; host node7; precision bf16"
    assert made_with([make_cell(None)]) == ""


def test_the_table_of_cells_leads_from_a_row_to_how_it_was_made():
    changed = replace(MADE, commit=f"{MADE.commit}+changes")
    cells = [
        replace(make_cell(50.0), environment=changed, data_hash="d" * 64),
        replace(make_cell(None, seed=1), state="failed", failure=Failure("it broke", "trace")),
        make_cell(5.0, data_budget=0),
    ]
    table = cell_table(cells)
    done, failed, untuned = (dict(zip(table.headings, line, strict=True)) for line in table.lines)
    assert (done["model"], done["budget"], done["trained on"], done["seed"]) == ("tiny", "8", "original", "0")
    assert done["command"] == "train.py -m x=1"
    assert done["commit"] == "abcdef0123456789+changes"
    assert (done["data"], done["host"], done["identity"]) == ("d" * 64, "node7", cells[0].identity)
    assert done["versions"] == "Python 3.11, torch 2.13"
    assert (failed["state"], failed["command"], failed["notes or failure"]) == ("failed", "-", "it broke")
    assert (untuned["trained on"], untuned["budget"]) == ("(untuned)", "-")
    assert made_with(cells).startswith("commit abcdef0123+changes;")


def test_json_says_all_that_leads_back():
    cell = replace(
        make_cell(50.0, seed=3), environment=MADE, data_hash="d" * 64, started=1.0, finished=3.0, notes=("a",)
    )
    (told,) = json.loads(to_json([cell]))
    assert {key: told[key] for key in ("cell", "state", "seed", "data_hash", "started", "finished", "notes")} == {
        "cell": cell.name, "state": "done", "seed": 3, "data_hash": "d" * 64,
        "started": 1.0, "finished": 3.0, "notes": ["a"],
    }  # fmt: skip
    assert told["cell"] == cell.name
    assert told["setting"]["model"] == "tiny"
    assert told["revisions"] == {}
    assert told["failure"] is None
    assert "train_seconds" in told["cost"]


def test_a_brief_table_shortens_commits_and_leaves_what_is_none():
    commits = ("3f2a" * 10, f"{'3f2a' * 10}+changes", None)
    cells = [
        replace(make_cell(50.0, seed=seed), environment=replace(MADE, commit=commit))
        for seed, commit in enumerate(commits)
    ]
    table = cell_table(cells, brief=True)
    column = table.headings.index("commit")
    assert [line[column] for line in table.lines] == [
        "3f2a3f2a3f",
        "3f2a3f2a3f+changes",
        "not from a checkout",
    ]


def test_a_brief_table_has_hashes_that_a_person_can_read():
    cell = replace(make_cell(50.0), identity="a" * 64, data_hash="d" * 64, notes=("one", "two"))
    brief, whole = (
        dict(zip(t.headings, t.lines[0], strict=True)) for t in map(cell_table, [[cell]] * 2, (True, False))
    )
    assert (brief["identity"], brief["data"]) == ("a" * 12, "d" * 12)
    assert (whole["identity"], whole["data"]) == ("a" * 64, "d" * 64)
    assert brief["notes or failure"] == "one; two"
    assert {brief[key] for key in ("commit", "host", "command", "device", "precision", "versions")} == {"-"}


def test_what_was_not_run_from_a_checkout_says_so():
    untuned = replace(make_cell(5.0, data_budget=0), environment=replace(MADE, commit=None, precision="none"))
    (line,) = cell_table([untuned]).lines
    assert "not from a checkout" in line
    assert made_with([untuned]) == "commit unknown; host node7", "a baseline has no precision"
    row = dict(zip(cell_table([untuned]).headings, line, strict=True))
    assert (row["seed"], row["tested on"], row["data"]) == ("-", "original", "-")


def test_the_table_s_headings():
    assert cell_table([make_cell(50.0)]).headings == (
        "cell", "model", "budget", "trained on", "seed", "tested on", "state", "identity", "data", "commit", "host",
        "command", "device", "precision", "versions", "notes or failure",
    )  # fmt: skip


def test_letters_of_any_script_are_written_as_they_are():
    assert "é 实验" in to_json([replace(make_cell(50.0), notes=("é 实验",))])
