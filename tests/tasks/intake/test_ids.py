from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_ablate.tasks.intake.ids import id_text, unique_ids

ODD = st.one_of(
    st.none(), st.integers(0, 3), st.floats(), st.booleans(), st.sampled_from(["a", "a#2", "t-0", "t-1", " ", ""]),
    st.text(st.characters(codec=None)), st.lists(st.integers(), max_size=1),
)  # fmt: skip


def made(*given_ids, expected=True):
    met = Counter()
    return unique_ids(list(enumerate(given_ids)), "t", met, expected), {k: n for k, n in met.items() if n}


def test_good_ids_stay():
    assert made("a", "b c", "é") == (("a", "b c", "é"), {})


def test_missing_and_repeated_ids_are_made():
    ids, notes = made("a", "a", None, "", "a", [1])
    assert ids == ("a", "a#2", "t-2", "t-3", "a#3", "t-5")
    assert notes == {"repeated instance id numbered": 2, "instance without id numbered": 3}
    assert made(None, None, expected=False) == (("t-0", "t-1"), {})


def test_made_ids_never_take_a_name_that_a_row_brings():
    assert made("a", "a", "a#2")[0] == ("a", "a#3", "a#2")
    assert made(None, "t-0")[0] == ("t-0#2", "t-0")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        (0, "0"),
        ("7", "7"),
        (1.5, "1.5"),
        (True, None),
        (None, None),
        (" ", None),
        ({}, None),
    ],
)
def test_numbers_are_ids_truth_values_and_objects_are_none(value, text):
    assert id_text(value) == text


@given(st.lists(ODD, max_size=12))
def test_ids_are_unique_texts_whatever_is_given(given_ids):
    ids, _ = made(*given_ids)
    assert len(set(ids)) == len(given_ids)
    assert all(isinstance(name, str) and name.strip() for name in ids)
    "".join(ids).encode()
    own = [text for text in map(id_text, given_ids) if text is not None]
    assert set(own) <= set(ids), "each id that a row brings is somebody's"
    assert made(*ids)[0] == ids


def test_many_equal_ids_cost_no_more_than_others():
    assert made(*["a"] * 50_000)[0][-1] == "a#50000"
