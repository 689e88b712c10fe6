from __future__ import annotations

from instruct_ablate.grid.expansion import Declared, expand

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
