from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instruct_ablate.cell.state.folder_name import file_name, folder_name
from tests.report.cells import place


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a-b_c.d+e(0.2)", "a-b_c.d+e(0.2)"),
        ("a/b c:d", "a_b_c_d"),
        ("a   b", "a_b"),
        ("实验é", "实验é"),
        (101 * "x", 100 * "x"),
        (61 * "实", 60 * "实"),
    ],
)
def test_names_that_every_file_system_takes(text: str, name: str) -> None:
    assert file_name(text) == name
    assert len(file_name(text).encode()) <= 180


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "tiny-original-8-s3"),
        ({"instruction": "simplified", "data_budget": 2}, "tiny-simplified-2-s3"),
        ({"method": "lora"}, "tiny-lora-original-8-s3"),
        ({"data_budget": 0}, "tiny-untuned"),
        ({"model": "majority", "data_budget": 0}, "majority"),
        ({"tasks": "reviews", "tasks.reader": "hf_dataset"}, "tiny-reviews-original-8-s3"),
        ({"tasks": "starter", "tasks.reader": "starter"}, "tiny-original-8-s3"),
        ({"tasks": "mine.f", "tasks.reader": "mine.f"}, "tiny-mine.f-original-8-s3"),
        (
            {"tasks": "reviews", "tasks.reader": "x", "model": "majority", "data_budget": 0},
            "majority-reviews",
        ),
    ],
)
def test_folders_are_named_by_the_axes_and_a_short_hash(changes: dict[str, Any], name: str) -> None:
    setting = place(**{"tasks.reader": "starter", **changes})
    assert folder_name(setting, 3, "0123456789ab") == f"{name}-01234567"
    assert folder_name(setting, 3, "0123456789ab", ("a", "b c")) == f"{name}-a-b_c-01234567"


def test_what_others_have_tuned_is_named_as_it_is() -> None:
    setting = replace(place(data_budget=0, **{"tasks.reader": "starter"}), tuned=True)
    assert folder_name(setting, 0, "0123456789ab") == "tiny-as_it_is-01234567"
