"""Processes of one cell: place and number as launchers leave them in the environment."""

from __future__ import annotations

import sys

import pytest

from instruct_ablate.entry import prepared
from instruct_ablate.process.processes import (
    PROGRAM,
    RANKS,
    after_program,
    command_line,
    process_count,
    rank,
    rewrite,
)


@pytest.mark.parametrize(
    ("environment", "place", "count"),
    [
        ({}, 0, 1),
        ({"RANK": "0", "WORLD_SIZE": "2"}, 0, 2),
        ({"RANK": "1", "WORLD_SIZE": "2"}, 1, 2),
        ({"RANK": "3", "WORLD_SIZE": "1"}, 0, 1),
        ({"WORLD_SIZE": "2"}, 0, 1),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "4"}, 2, 4),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, 0, 1),
        ({"RANK": "0", "WORLD_SIZE": "1", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, 1, 2),
    ],
)
def test_the_place_comes_from_the_launcher(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], place: int, count: int
) -> None:
    for name in (name for names in RANKS for name in names):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (rank(), process_count()) == (place, count)


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        ([PROGRAM, "-m", "seed=0,1"], "instruct-ablate train -m seed=0,1"),
        (["train.py", "-m", "study=two words"], "train.py -m 'study=two words'"),
        (["/my folder/train.py", "seed=1"], "'/my folder/train.py' seed=1"),
    ],
)
def test_a_command_is_stored_as_a_shell_takes_it_and_read_back(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], command: str
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == command
    assert after_program(command) == argv[1:]


def test_a_command_is_what_was_typed_whatever_its_arguments_are_put_into(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "data_budget=2", "model=./folder"])
    rewrite(prepared(sys.argv[1:]))
    assert "data_budget='2'" in sys.argv
    assert command_line() == "train.py data_budget=2 model=./folder"
    monkeypatch.setattr(sys, "argv", ["train.py", "seed=1"])
    assert command_line() == "train.py seed=1"


def test_the_form_of_earlier_versions_is_read() -> None:
    assert after_program("'instruct-ablate train' -m seed=0") == ["-m", "seed=0"]
