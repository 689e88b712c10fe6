"""Looks at a study: recorded once, chained, frozen in what they plan, and read as data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.grid.history.looks import (
    CHAIN,
    LOOKS,
    MOST_SEEDS,
    Decision,
    Look,
    Looks,
    check_frozen,
    check_same,
    check_unlooked,
    decision_of,
    look_lines,
    read_looks,
)

PLAN = Look(
    seeds=(0, 1, 2, 3, 4),
    done=2,
    hypotheses=("a", "b"),
    reference="original",
    grid=("x" * 16, "y" * 16),
    cells=1,
)
OPEN = replace(PLAN, decisions=(Decision("a", "supported", True), Decision("b", "undecided", False)))
CLOSED = replace(PLAN, done=3, decisions=(Decision("a", "undecided", True), Decision("b", "refuted", True)))


def test_looks_are_added_and_read_in_order(tmp_path: Path) -> None:
    first = CHAIN.add(tmp_path, OPEN)
    before = (tmp_path / LOOKS).read_bytes()
    second = CHAIN.add(tmp_path, CLOSED)
    assert (tmp_path / LOOKS).read_bytes().startswith(before)
    assert second.before == first.hash
    assert read_looks(tmp_path) == Looks((first, second))
    assert (first.settled, second.settled, PLAN.settled) == (False, True, False)


def test_a_hypothesis_stands_at_the_look_that_settled_it(tmp_path: Path) -> None:
    looks = Looks((OPEN, CLOSED))
    assert looks.deciding("a") == OPEN
    assert looks.deciding("b") == CLOSED
    assert looks.deciding("c") is None
    assert Looks((OPEN,)).deciding("b") == OPEN
    assert decision_of(CLOSED, "b") == Decision("b", "refuted", True)
    assert decision_of(CLOSED, "c") is None


def test_no_looks_are_no_looks(tmp_path: Path) -> None:
    assert read_looks(tmp_path) == Looks()
    assert list(look_lines(Looks())) == []
    check_frozen(tmp_path, ["any"], ["c"], "simplified")
    check_same(tmp_path, PLAN)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"hypotheses": ("a",)}, "its hypotheses were others"),
        ({"reference": "simplified"}, "its reference was original"),
        ({"seeds": (0, 1, 2, 3, 4, 5)}, "its seeds were 0,1,2,3,4"),
        ({"grid": ("x" * 16, "z" * 16, "w" * 16)}, "its grid was 2 cells, 1 of them in this one"),
    ],
)
def test_another_plan_is_refused_in_one_line(tmp_path: Path, changes: dict[str, object], why: str) -> None:
    CHAIN.add(tmp_path, OPEN)
    check_same(tmp_path, CLOSED)
    with pytest.raises(UserError, match=why) as refused:
        check_same(tmp_path, replace(PLAN, **changes))
    assert "\n" not in str(refused.value)
    assert "are frozen from the first look on" in str(refused.value)


def test_a_sweep_of_any_kind_stays_within_what_was_looked_for(tmp_path: Path) -> None:
    CHAIN.add(tmp_path, OPEN)
    check_frozen(tmp_path, ["x" * 64], ["b"], "original")
    for given, why in [
        ((["x" * 64], ["c"], "original"), "hypothesis 'c' is new"),
        ((["x" * 64], [], "simplified"), "reference=simplified was original"),
        ((["x" * 64, "z" * 64], [], "original"), "1 of 2 cells is not of its grid"),
    ]:
        with pytest.raises(UserError, match=why):
            check_frozen(tmp_path, *given)


def test_a_look_of_another_plan_in_the_file_does_not_count(tmp_path: Path) -> None:
    first = CHAIN.add(tmp_path, OPEN)
    CHAIN.add(tmp_path, replace(CLOSED, grid=("z" * 16,)))
    CHAIN.add(tmp_path, replace(CLOSED, done=9))
    assert read_looks(tmp_path) == Looks((first,), (f"{LOOKS}: a look of another plan",))


def test_a_plan_that_nobody_can_have_made_does_not_count(tmp_path: Path) -> None:
    CHAIN.add(tmp_path, replace(OPEN, seeds=tuple(range(1000))))
    assert read_looks(tmp_path) == Looks((), (f"{LOOKS}: a look of another plan",))


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"{", b"[]\n", b'{"version": 99}\n', b"[" * 100_000])
def test_a_damaged_file_is_said_and_never_raised(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / LOOKS).write_bytes(damage)
    broken = read_looks(tmp_path)
    assert not broken.taken
    assert broken.faults
    assert any(line.startswith("unreadable: ") for line in look_lines(broken))


def test_an_edit_shows(tmp_path: Path) -> None:
    CHAIN.add(tmp_path, OPEN)
    text = (tmp_path / LOOKS).read_text()
    (tmp_path / LOOKS).write_text(text.replace("undecided", "supported"))
    assert "it is not as it was written" in read_looks(tmp_path).faults[0]


def test_what_was_saved_is_said() -> None:
    _, last = look_lines(Looks((OPEN,)))
    assert last == "not decided yet: 1 cell of the plan is left"
    first, _, last = look_lines(Looks((OPEN, CLOSED)))
    assert first.startswith("look 1: 2 of 5 seeds, 1 of 2 cells (")
    assert first.endswith("supported: 'a'; undecided, open: 'b'")
    assert last == "stopped, for every hypothesis is settled: 1 of 2 cells saved (50 %)"
    assert list(look_lines(Looks((replace(CLOSED, done=5, cells=2),))))[-1] == "the whole grid was run"


def test_cells_that_were_run_all_the_same_are_not_saved() -> None:
    *_, last = look_lines(Looks((OPEN, CLOSED)), ["x" * 64, "y" * 64, "z" * 64])
    assert (
        last
        == "stopped, for every hypothesis is settled: 0 of 2 cells saved (0 %), 1 done beyond what it took"
    )
    *_, last = look_lines(Looks((OPEN,)), ["x" * 64, "y" * 64])
    assert last == "not decided yet: 0 cells of the plan are left"


def test_what_was_settled_before_is_said_to_be() -> None:
    later = replace(CLOSED, decisions=(OPEN.decisions[0], CLOSED.decisions[1]))
    _, second, _ = look_lines(Looks((OPEN, later)))
    assert second.endswith(": supported since look 1: 'a'; refuted: 'b'")
    _, second, _ = look_lines(Looks((OPEN, CLOSED)))  # as earlier versions have written it
    assert second.endswith(": undecided (supported since look 1): 'a'; refuted: 'b'")


def test_the_order_of_hypotheses_is_no_other_plan(tmp_path: Path) -> None:
    CHAIN.add(tmp_path, OPEN)
    check_same(tmp_path, replace(PLAN, hypotheses=("b", "a")))
    CHAIN.add(tmp_path, replace(CLOSED, hypotheses=("b", "a")))
    assert [look.done for look in read_looks(tmp_path).taken] == [2, 3]


def test_where_the_order_of_lists_may_have_made_another_grid_it_is_said(tmp_path: Path) -> None:
    """Before: two spellings of one grid were refused as two, and nobody could see why."""
    CHAIN.add(tmp_path, OPEN)
    other = replace(PLAN, grid=("w" * 16,))
    with pytest.raises(
        UserError, match=r"0 of them in this one \(lists of names, tasks\.include .* order of then\)"
    ):
        check_same(tmp_path, other, lists=True)
    with pytest.raises(UserError, match=r"0 of them in this one\. "):
        check_same(tmp_path, other)


def test_a_look_needs_a_seed_and_at_most_those_planned() -> None:
    known = [replace(PLAN, done=done).possible for done in (0, 1, 5, 6)]
    assert known == [False, True, True, False]
    largest = replace(PLAN, seeds=tuple(range(MOST_SEEDS)))
    assert largest.possible
    assert not replace(PLAN, seeds=tuple(range(MOST_SEEDS + 1))).possible


def test_cells_from_elsewhere_stay_out_of_a_study_that_was_looked_at(tmp_path: Path) -> None:
    check_unlooked(tmp_path)
    CHAIN.add(tmp_path, OPEN)
    with pytest.raises(UserError, match=f"study={tmp_path.name}_imported"):
        check_unlooked(tmp_path)
