from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from instruct_ablate.disk.whole_files import write_sealed
from instruct_ablate.model.training.layers.adapted_layers import WAY
from instruct_ablate.model.training.resume import stretches
from instruct_ablate.model.training.resume.stretches import (
    FILE,
    Place,
    Stretches,
    company,
    here,
    read_stretches,
    told,
    told_of_tests,
)

A, B = Place("a", "cuda", "bf16", "torch 2"), Place("b", "cpu", "fp32", "torch 2")


def note(
    folder: Path,
    first: int,
    place: Place,
    with_others: int,
    monkeypatch: pytest.MonkeyPatch,
    way: str = "",
) -> None:
    cell = SimpleNamespace(company=with_others) if with_others else None
    monkeypatch.setattr(stretches, "this_cell", lambda: cell)
    Stretches(folder, first, place, way).write()


def test_each_process_is_noted_and_the_largest_company_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_stretches(tmp_path) == []
    assert company(()) == 0
    note(tmp_path, 0, A, 3, monkeypatch)
    note(tmp_path, 50, B, 0, monkeypatch)
    found = read_stretches(tmp_path)
    assert [(one.first, one.place, one.company) for one in found] == [(0, A, 3), (50, B, 0)]
    assert company(found) == 3


def test_steps_that_are_taken_anew_were_trained_by_who_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(tmp_path, 0, A, 3, monkeypatch)
    note(tmp_path, 50, A, 0, monkeypatch)
    note(tmp_path, 50, B, 0, monkeypatch)  # the second one was killed before it wrote a state
    assert [(one.first, one.place) for one in read_stretches(tmp_path)] == [(0, A), (50, B)]
    note(tmp_path, 0, B, 0, monkeypatch)  # no state could be read
    assert [(one.first, one.company) for one in read_stretches(tmp_path)] == [(0, 0)]


def test_a_file_that_is_damaged_or_of_elsewhere_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(tmp_path, 0, A, 3, monkeypatch)
    whole = (tmp_path / FILE).read_text()
    for text in ("", "[]", whole.replace("cuda", "cpu"), whole[:-4]):
        (tmp_path / FILE).write_text(text)
        assert read_stretches(tmp_path) == []


def test_a_note_where_training_and_test_are_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note(tmp_path, 0, A, 0, monkeypatch)
    note(tmp_path, 20, A, 0, monkeypatch)
    same = read_stretches(tmp_path)
    assert told(same, A) == []
    assert told((), A) == []
    assert told(same, B) == ["trained on a (cuda, bf16, torch 2); tested on b (cpu, fp32, torch 2)"]
    note(tmp_path, 30, B, 0, monkeypatch)
    assert told(read_stretches(tmp_path), B) == [
        "trained on a (cuda, bf16, torch 2), after step 30 on b (cpu, fp32, torch 2); "
        "tested on b (cpu, fp32, torch 2)"
    ]
    assert len(told(same, replace(A, versions="torch 3"))) == 1


@pytest.mark.parametrize("tested", [A, B])
def test_what_a_version_before_it_trained_is_said_not_to_be_known(
    tested: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its training state lies there without a note of who made it; the rest was trained where it is tested, or not."""
    note(tmp_path, 20, A, 0, monkeypatch)
    (line,) = told(read_stretches(tmp_path), tested)
    assert line == (
        "trained on a place that is not known, by a version that noted none, after step 20 on "
        f"a (cuda, bf16, torch 2); tested on {tested}"
    )


def test_steps_that_round_otherwise_than_those_before_them_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(tmp_path, 0, A, 0, monkeypatch)
    note(tmp_path, 20, A, 0, monkeypatch)
    assert told(read_stretches(tmp_path), A) == []
    note(tmp_path, 30, A, 0, monkeypatch, WAY)
    line = f"trained in several ways, which round otherwise: as by earlier versions, after step 30 {WAY}"
    assert told(read_stretches(tmp_path), A) == [line]
    assert told(read_stretches(tmp_path), B)[1:] == [line]
    note(tmp_path, 40, A, 0, monkeypatch)
    assert told(read_stretches(tmp_path), A) == [f"{line}, after step 40 as by earlier versions"]
    note(tmp_path, 0, A, 0, monkeypatch, WAY)
    note(tmp_path, 10, A, 0, monkeypatch, WAY)
    assert told(read_stretches(tmp_path), A) == []
    (tmp_path / FILE).unlink()
    note(tmp_path, 30, A, 0, monkeypatch, WAY)  # who took the first steps noted nothing
    assert told(read_stretches(tmp_path), A)[1:] == [line]


def test_what_a_version_wrote_that_knew_no_ways_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [{"first": 0, "place": asdict(A), "company": 2}]
    write_sealed(tmp_path / FILE, plain, "output")
    note(tmp_path, 5, A, 0, monkeypatch, WAY)
    assert [(one.first, one.company, one.way) for one in read_stretches(tmp_path)] == [
        (0, 2, ""),
        (5, 0, WAY),
    ]


def test_this_process() -> None:
    place = here(torch.device("cuda", 1), torch.bfloat16)
    assert (place.device, place.precision) == ("cuda", "bf16")
    assert f"torch {torch.__version__}" in place.versions


def test_where_predictions_were_made_that_a_test_took_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told_of_tests((), 0, 9, A) == ""
    assert told_of_tests((), 9, 9, A).startswith(
        "predictions were made elsewhere: 9 of 9 on a place that is not known"
    )
    note(tmp_path, 0, A, 0, monkeypatch)
    note(tmp_path, 4, B, 0, monkeypatch)
    before = read_stretches(tmp_path)
    assert told_of_tests(before, 6, 9, B) == (
        "predictions were made elsewhere: 4 of 9 on a (cuda, bf16, torch 2); tested on b (cpu, fp32, torch 2)"
    )
    assert told_of_tests(before, 6, 9, A) == (
        "predictions were made elsewhere: 2 of 9 on b (cpu, fp32, torch 2); tested on a (cuda, bf16, torch 2)"
    )
    assert told_of_tests(before[:1], 9, 9, A) == ""
    assert "2 of 9 on a place that is not known" in told_of_tests([replace(before[0], first=2)], 9, 9, A)
