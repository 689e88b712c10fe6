from __future__ import annotations

from instruct_ablate.constraints import followed, loose_forms, make

BULLETS = make("items", relation="exactly", count=2)
LOWER = make("case", case="lower")
SHORT = make("words", relation="at most", count=3)


def test_the_eight_forms():
    forms = loose_forms("Sure!\n*one*\ntwo\nBye.")
    assert forms == (
        "Sure!\n*one*\ntwo\nBye.",
        "*one*\ntwo\nBye.",
        "Sure!\n*one*\ntwo",
        "*one*\ntwo",
        "Sure!\none\ntwo\nBye.",
        "one\ntwo\nBye.",
        "Sure!\none\ntwo",
        "one\ntwo",
    )
    assert loose_forms("one") == ("one", "")
    assert loose_forms("Sure!\n\none") == ("Sure!\n\none", "one", "Sure!", "")


def test_a_first_and_a_last_line_do_not_count_loosely():
    for answer in ("Sure!\none two three", "one two three\nThat Was It!", "Sure!\none two three\nBye!"):
        both = followed((LOWER, SHORT), answer)
        assert (both.strict, both.loose) == ((False, False), (True, True))


def test_asterisks_do_not_count_loosely():
    quoted = make("quoted")
    assert followed((quoted,), '**"All"**').strict == (False,)
    assert followed((quoted,), '**"All"**').loose == (True,)


def test_each_constraint_is_loosely_kept_in_a_form_of_its_own():
    start, end = make("start_phrase", phrase="Dear"), make("end_phrase", phrase="bye")
    found = followed((start, end), "Well:\nDear you\nbye\nThere.")
    assert found.strict == (False, False)
    assert found.loose == (True, True)


def test_what_is_strictly_kept_is_loosely_kept():
    found = followed((BULLETS,), "* one\n* two")
    assert (found.strict, found.loose) == ((True,), (True,))


def test_nothing_is_kept_by_an_empty_answer_or_form():
    for answer in ("", "   ", "***"):
        found = followed((SHORT, make("no_commas")), answer)
        assert found.strict == (False, False) or answer == "***"
    assert followed((SHORT,), "\n\n").loose == (False,)
