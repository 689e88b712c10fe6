"""Provenance: every cell leads back to its code, data and machine."""

from __future__ import annotations

import json
from dataclasses import replace

from instruct_ablate.cell.record import Environment, Failure
from instruct_ablate.report.provenance import made_with, to_json
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


def test_a_line_names_commit_data_and_host():
    cell = replace(make_cell(50.0), environment=MADE, data_hash="d" * 64)
    assert made_with([cell]) == "commit abcdef0123; data dddddddddd; host node7; precision bf16"
    assert made_with([make_cell(None)]) == ""
