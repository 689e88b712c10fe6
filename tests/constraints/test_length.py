from __future__ import annotations

import pytest

from instruct_ablate.constraints import make
from instruct_ablate.constraints.length import count_sentences, count_words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One two  three.", 3),
        ("", 0),
        ("... !!", 0),
        ("Über Ärger — naïve café", 4),
        ("слово и дело", 3),
        ("well-known", 2),  # as the published rule cuts it
        ("a_b 12 1.5", 4),
    ],
)
def test_words_are_runs_of_letters_and_digits(text, count):
    assert count_words(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("?! ...", 0),
        ("One.", 1),
        ("One", 1),
        ("One. Two! Three?", 3),
        ("One... and on.", 2),
        ('He said "Go." She went.', 2),
        ("Dr. Smith met Mr. J. R. Poe. They spoke.", 2),
        ("Use tools, e.g. a saw, i.e. one that cuts. Fine.", 2),
        ("Pi is 3.14. Yes.", 2),
        ("1. First\n2. Second", 1),
        ("9. First\n10. Second", 1),
        ("She is 12. He is 9. We are not.", 3),
        ("The year was 1984. Then came more.", 2),
        ("So did I. You too.", 2),
        ("A heading\n\nA sentence. Another", 3),
        ("这是一句话。还有一句！", 2),
        ("Что это? Это дом.", 2),
    ],
)
def test_sentences(text, count):
    assert count_sentences(text) == count


def test_length_in_words_and_sentences():
    text = "One two three. Four five!"
    assert make("words", relation="at least", count=5).met_by(text)
    assert not make("words", relation="at least", count=6).met_by(text)
    assert make("words", relation="less than", count=6).met_by(text)
    assert not make("words", relation="less than", count=5).met_by(text)
    assert make("sentences", relation="exactly", count=2).met_by(text)
    assert not make("sentences", relation="at least", count=3).met_by(text)
    assert not make("sentences", relation="less than", count=2).met_by(text)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("One\n***\nTwo", True),
        ("One *** Two", True),
        ("***\nOne\n***\nTwo\n***", True),
        ("One\n***\n***\nTwo", False),
        ("One\n\nTwo", False),
        ("One\n***\nTwo\n***\nThree", False),
        ("***", False),
    ],
)
def test_paragraphs_with_dividers(text, right):
    assert make("paragraphs", count=2, divider="***").met_by(text) is right


def test_an_empty_paragraph_between_dividers_is_none_of_three():
    assert not make("paragraphs", count=3, divider="***").met_by("One\n***\n***\nTwo")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("One\n\nTwo", True),
        ("\n\nOne\n \n\n\nTwo\n\n", True),
        ("One\nTwo", False),
        ("One\n\nTwo\n\nThree", False),
    ],
)
def test_paragraphs_with_empty_lines(text, right):
    assert make("paragraphs", count=2, divider="empty line").met_by(text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("One.\n\nThen two.", True),
        ('One.\n\n"THEN," he said.', True),
        ("Then.\n\nTwo.", False),
        ("One.\n\nThen two.\n\nThree.", False),
        ("One.\n\n***", False),
        ("One.\nThen two.", False),
        ("One.\n\nThenceforth.", False),
    ],
)
def test_the_first_word_of_a_paragraph(text, right):
    assert make("paragraph_start", count=2, place=2, word="then").met_by(text) is right


def test_a_paragraph_that_there_is_not_begins_with_nothing():
    assert not make("paragraph_start", count=1, place=2, word="a").met_by("a")
