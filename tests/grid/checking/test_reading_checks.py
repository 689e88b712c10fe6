"""Checks that read something: each is asked for, and each that loads a model says for what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.grid.checking import preflight, reading_checks
from instruct_ablate.grid.checking.reading_checks import LOADING, faults_of
from tests.standins import make_config


def test_no_check_is_forgotten(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    config = replace(config, evaluation=replace(config.evaluation, general={"reader": "everyday"}))
    calls = (*preflight.value_checks(config), *preflight.cell_checks(config, False))
    asked = {function.__name__ for function, _ in calls}
    here = {
        name
        for name, made in vars(reading_checks).items()
        if name.startswith("check_") and made.__module__ == reading_checks.__name__
    }
    assert here <= asked
    assert len(here) == 14


def test_what_loads_a_model_takes_what_its_check_takes(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    loading = [call for call in preflight.cell_checks(config, False) if call[0] in LOADING]
    assert {function for function, _ in loading} == {*LOADING} - {reading_checks.check_general_choices}
    assert [LOADING[function](*given) for function, given in loading] == ["", "", ""], (
        "greedy, full, automatic"
    )


def test_faults_of_a_check_are_lines() -> None:
    def refuse() -> None:
        raise UserErrors(["one", "two"])

    def fail() -> None:
        raise UserError("alone")

    assert faults_of(refuse, ()) == ("one", "two")
    assert faults_of(fail, ()) == ("alone",)
    assert faults_of(lambda: ["a", "b"], ()) == ("a", "b")
    assert faults_of(lambda: "no list", ()) == ()
