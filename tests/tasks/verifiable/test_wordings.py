"""The words of requests: no blank that a rule does not fill, and none that another wording of it has not."""

from __future__ import annotations

from string import Formatter

import pytest

from instruct_ablate.constraints import followed, kinds, make
from instruct_ablate.tasks.verifiable import wordings
from instruct_ablate.tasks.verifiable.make import groups


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_no_word_of_a_request_is_left_open():
    for group in groups():
        for one in group.requests:
            assert "{" not in one.input
            assert "None" not in one.input


@pytest.mark.parametrize("key", wordings.RULES)
def test_a_rule_says_the_same_in_each_wording(key: str) -> None:
    forms = wordings.RULES[key]
    assert len({*forms}) == len(forms) > 1
    assert len({frozenset(blanks(form)) for form in forms}) == 1
    kind = key.partition(" ")[0]
    drawn = (one for group in groups() for request in group.requests for one in request.constraints)
    assert blanks(forms[0]) <= next({name for name, _ in one.values} for one in drawn if one.kind == kind)


def test_every_kind_has_a_wording_and_no_wording_is_of_none() -> None:
    assert {key.partition(" ")[0] for key in wordings.RULES} == set(kinds())


@pytest.mark.parametrize("together", [*wordings.PAIRS, *wordings.TRIPLES], ids="+".join)
def test_rules_that_stand_together_are_different_ones(together: tuple[str, ...]) -> None:
    assert len({*together}) == len(together)
    assert {*together} <= set(kinds())


@pytest.mark.parametrize(
    "name",
    ["FORMS", "TOPICS", "QUESTIONS", "OPTIONS", "KEYWORDS", "FORBIDDEN", "STARTS", "ENDS", "FIRST_WORDS"],
)
def test_nothing_stands_twice_in_a_list_that_is_drawn_from(name: str) -> None:
    words = [word.casefold() for word in getattr(wordings, name)]
    assert len({*words}) == len(words)


def test_what_is_asked_for_neither_meets_nor_breaks_a_rule_by_itself() -> None:
    """Who repeats the request has used no keyword, and no word that is not allowed."""
    asked = " ".join(form.format(topic=topic) for form in wordings.FORMS for topic in wordings.TOPICS)
    for word in wordings.KEYWORDS:
        assert not any(followed((make("keywords", words=[word]),), asked).strict), word
    assert not {*wordings.KEYWORDS} & {*wordings.FORBIDDEN}
