from __future__ import annotations

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.grid.composing import expansion
from instruct_ablate.grid.composing.expansion import Declared, expand

NOTHING = Declared({}, [])


def is_baseline(model: str) -> bool:
    return model in ("uniform_guess", "majority")


def test_a_command_line_spans_a_grid() -> None:
    cells = expand(NOTHING, ["instruction=a,b", "data_budget='0','8'", "model=x"], is_baseline)
    assert cells == [
        ("instruction=a", "data_budget='0'", "model=x"),
        ("instruction=a", "data_budget='8'", "model=x"),
        ("instruction=b", "data_budget='0'", "model=x"),
        ("instruction=b", "data_budget='8'", "model=x"),
    ]


def test_no_arguments_are_one_cell() -> None:
    assert expand(NOTHING, [], is_baseline) == [()]


def test_ranges_and_choices() -> None:
    assert expand(NOTHING, ["seed=range(2)"], is_baseline) == [("seed=0",), ("seed=1",)]
    assert expand(NOTHING, ["instruction=choice(a,b)"], is_baseline) == [
        ("instruction=a",),
        ("instruction=b",),
    ]


def test_lists_are_one_value() -> None:
    assert len(expand(NOTHING, ["evaluation.instructions=[same,delusive]"], is_baseline)) == 1


def test_the_command_line_takes_the_place_of_an_experiments_values() -> None:
    declared = Declared({"instruction": "a,b", "data_budget": "0,10,20"}, [])
    assert expand(declared, ["data_budget='2'"], is_baseline) == [
        ("instruction=a", "data_budget='2'"),
        ("instruction=b", "data_budget='2'"),
    ]


def test_several_grids_share_params_and_doubles_fall_together() -> None:
    declared = Declared({"seed": "0"}, [{"model": "x", "data_budget": 0}, {"model": "x,y", "data_budget": 0}])
    assert expand(declared, [], is_baseline) == [
        ("seed=0", "model=x", "data_budget='0'"),
        ("seed=0", "model=y", "data_budget='0'"),
    ]


def test_a_grid_of_baselines_keeps_its_models() -> None:
    declared = Declared({}, [{"model": "big", "data_budget": "10"}, {"model": "uniform_guess,majority"}])
    cells = expand(declared, ["model=small", "data_budget='2'"], is_baseline)
    assert cells == [
        ("model=small", "data_budget='2'"),
        ("model=uniform_guess", "data_budget='2'"),
        ("model=majority", "data_budget='2'"),
    ]


def test_as_many_cells_as_may_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "MOST", 4)
    assert len(expand(NOTHING, ["seed=range(4)"], is_baseline)) == 4
    assert len(expand(NOTHING, ["seed=0,1", "instruction=a,b"], is_baseline)) == 4
    for words in (["seed=range(5)"], ["seed=0,1,2", "instruction=a,b"]):
        with pytest.raises(UserError, match="more than 4 "):
            expand(NOTHING, words, is_baseline)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("seed=interval(0,1)", "an interval cannot be counted"),
        ("seed=range(0,5,0)", "or no end of them"),
        ("seed=range(3,3)", "names no value at all"),
        ("seed=range(0,10000000000)", "names more than"),
    ],
)
def test_values_that_are_none_or_endless(word: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        expand(NOTHING, [word], is_baseline)


def test_steps_and_directions_of_ranges() -> None:
    assert expand(NOTHING, ["seed=range(4,0,-2)"], is_baseline) == [("seed=4",), ("seed=2",)]


def test_models_of_which_one_is_no_baseline_are_replaced() -> None:
    declared = Declared({}, [{"model": "uniform_guess, big"}])
    assert expand(declared, ["model=small"], is_baseline) == [("model=small",)]
