"""Constraints on the words and letters of a text: keywords, case, beginning and end, language.

Case never counts, except where it is what is asked for. A keyword counts wherever its letters stand, inside longer
words too, as in the published checks; a forbidden word only as a word of its own.
"""

from __future__ import annotations

import re

from instruct_ablate.constraints.constraint import (
    compares,
    constraint,
    language,
    letter,
    number,
    one_of,
    optional,
    relation,
    text,
    texts,
)
from instruct_ablate.constraints.language import language_of

_CAPITAL = re.compile(r"[^\W_]+(?:['’&-][^\W_]+)*")
_COMMAS = frozenset(",，、،")


def _plain(given: str) -> str:
    """Return a text as it is compared: case does not count, nor how wide white space is."""
    return " ".join(given.casefold().split())


@constraint("case", case=one_of("upper", "lower"), language=optional(language))
def case(given: str, case: str, language: str | None) -> bool:
    """Whether all letters that have a case are of this one, and the text is of a language, where one is named."""
    right = given.isupper() if case == "upper" else given.islower()
    return right and (language is None or language_of(given) == language)


@constraint("capital_words", relation=relation, count=number())
def capital_words(given: str, relation: str, count: int) -> bool:
    """Whether so many words are written in capital letters throughout."""
    return compares(sum(word.isupper() for word in _CAPITAL.findall(given)), relation, count)


@constraint("keywords", words=texts)
def keywords(given: str, words: tuple[str, ...]) -> bool:
    """Whether all keywords stand in a text."""
    said = _plain(given)
    return all(_plain(word) in said for word in words)


@constraint("forbidden", words=texts)
def forbidden(given: str, words: tuple[str, ...]) -> bool:
    """Whether none of some words stands in a text as a word of its own."""
    said = _plain(given)
    return not any(re.search(rf"(?<!\w){re.escape(_plain(word))}(?!\w)", said) for word in words)


@constraint("keyword_count", word=text, relation=relation, count=number())
def keyword_count(given: str, word: str, relation: str, count: int) -> bool:
    """Whether a keyword stands in a text so often."""
    return compares(_plain(given).count(_plain(word)), relation, count)


@constraint("letter_count", letter=letter, relation=relation, count=number())
def letter_count(given: str, letter: str, relation: str, count: int) -> bool:
    """Whether a letter, or another character, stands in a text so often."""
    return compares(given.casefold().count(letter.casefold()), relation, count)


@constraint("no_commas")
def no_commas(given: str) -> bool:
    """Whether a text has no comma, of any script."""
    return not _COMMAS & set(given)


@constraint("start_phrase", phrase=text)
def start_phrase(given: str, phrase: str) -> bool:
    """Whether a text begins with a phrase."""
    return _plain(given).startswith(_plain(phrase))


@constraint("end_phrase", phrase=text)
def end_phrase(given: str, phrase: str) -> bool:
    """Whether a text ends with a phrase; a quotation mark behind it does not count."""
    return _plain(given.strip().strip('"')).endswith(_plain(phrase))


@constraint("choice", options=texts)
def choice(given: str, options: tuple[str, ...]) -> bool:
    """Whether exactly one of some options stands in a text, letter for letter."""
    return sum(option.strip() in given for option in options) == 1


@constraint("repeat_prompt", text=text)
def repeat_prompt(given: str, text: str) -> bool:
    """Whether a text begins with the request that it answers."""
    return _plain(given).startswith(_plain(text))


@constraint("language", language=language)
def in_language(given: str, language: str) -> bool:
    """Whether a text is of a language; one without letters is of none."""
    return language_of(given) == language
