"""Lists that need no order are sorted wherever they stand; what is none of them, or no data, stays as it is."""

from __future__ import annotations

import pytest

from instruct_ablate.cell.state.setting import unordered
from instruct_ablate.cell.state.setting.unordered import PARTS, brought_in_order, has_lists, in_order


def test_lists_are_sorted_in_parts_of_parts_too_and_others_keep_their_order() -> None:
    given = {"tasks.include": ["b", "a", "b"], "tasks.labels": ["b", "a"]}
    wanted = {"tasks.include": ["a", "b"], "tasks.labels": ["b", "a"]}
    assert in_order({**given, "one": {"two": given}}) == {**wanted, "one": {"two": wanted}}
    assert given["tasks.include"] == ["b", "a", "b"], "what was given is left alone"


@pytest.mark.parametrize("value", ["beta", None, 3, {}])
def test_what_is_no_list_is_none_under_such_a_key_either(value: object) -> None:
    assert in_order({"tasks.include": value}) == {"tasks.include": value}


def test_a_list_that_could_stand_in_another_order_is_found_at_any_depth() -> None:
    assert has_lists({"seed": 0, "one": {"two": {"method.target_modules": ["q_proj"]}}})
    assert not has_lists({"tasks.include": [], "tasks.labels": ["b", "a"], "one": {"tasks.include": []}})
    assert not has_lists({})


def test_a_part_that_is_too_long_to_be_read_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    part, sorted_part = "one: {'tasks.include': ['b', 'a']}", "one: {'tasks.include': ['a', 'b']}"
    for room, wanted in ((len(part), sorted_part), (len(part) - 1, part)):
        unordered._part_in_order.cache_clear()
        monkeypatch.setattr(unordered, "LONGEST_PART", room)
        assert brought_in_order(PARTS, [part]) == [wanted]
    unordered._part_in_order.cache_clear()


@pytest.mark.parametrize(
    "part",
    [
        "one",
        "one: {",
        "one: {'a': f()}",
        "one: {1: [",
        "one: {'tasks.include': 3}",
        "one: {'a': " + 9999 * "9" + "}",
        "one: {'tasks.include': [1, 'a']}",
        "one: {'tasks.include': [['a']]}",
        "one: {" + 9000 * "[",
    ],
)
def test_parts_that_are_no_data_stay_as_they_are(part: str) -> None:
    assert brought_in_order(PARTS, [part]) == [part]
