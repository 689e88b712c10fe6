"""Targets that training shows without their end are counted in the cell's notes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.data.examples import Examples
from instruct_ablate.model.training.fit import fit
from tests.model.fits import NAMES, changed, load, make_config, make_prompts, make_store

CUT = "training: 14 of 14 targets are longer than prompt.max_target_length=2 tokens and were cut to it"


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_notes_targets_that_lost_their_end(name: str, tmp_path: Path) -> None:
    config = make_config(tmp_path / "cache", name, max_steps=1)
    short = replace(config, prompt=replace(config.prompt, max_target_length=2))
    checkpoint = load(short)
    _, notes = fit(checkpoint, make_prompts(), short, tmp_path / "short")
    assert notes == (CUT,)
    _, again = fit(load(short), make_prompts(), short, tmp_path / "short")
    assert again == (CUT,)  # a cell that goes on with what is trained
    store = make_store(checkpoint, short)
    _, kept = fit(load(short), Examples(14, lambda: store), short, tmp_path / "kept")
    assert kept == (CUT,)  # a further cell, which tokenises nothing
    assert fit(load(config), make_prompts(), config, tmp_path / "long")[1] == ()


def test_of_draws_all_ways_to_show_an_example_are_counted(tmp_path: Path) -> None:
    config = changed(make_config(tmp_path / "cache", max_steps=1), data={"references": "every_epoch"})
    config = replace(config, prompt=replace(config.prompt, max_target_length=4))
    prompts = [replace(one, references=("y", "no " * 9)) for one in make_prompts(6)]
    _, (note,) = fit(load(config), prompts, config, tmp_path / "fit")
    assert note.startswith("training: 6 of 12 targets are longer than")
