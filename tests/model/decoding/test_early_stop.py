from dataclasses import replace

import pytest

from instruct_ablate.model.decoding.early_stop import answer_text, early_stop, is_lost, stop_when_lost
from instruct_ablate.model.decoding.question import Question
from instruct_ablate.schema import EvaluationConfig
from tests.model.decoding_cases import make_prompts


@pytest.mark.parametrize("text", ["", " ", "Y", "yes", "Yes.", "Yes,\n", "no", "No w", "no way!", "Y\ufffd"])
def test_what_may_still_become_a_label(text):
    assert not is_lost(text, ("Yes", "No way"))


@pytest.mark.parametrize("text", ["x", "Yes, because", "yesterday", "now", "no way out", "a yes"])
def test_what_no_continuation_makes_right(text):
    assert is_lost(text, ("Yes", "No way"))


class Letters:
    def decode(self, tokens, skip_special_tokens):
        return "".join(chr(token) for token in tokens if token or not skip_special_tokens)


def test_references_and_choices_of_all_prompts_count():
    prompt = replace(make_prompts(1, 1, ("yes", "no"))[0], references=("maybe",))
    test = stop_when_lost([Question((1,), (prompt, replace(prompt, references=("later",))))], Letters())
    assert not any(test(0, list(text.encode())) for text in ("ye", "no", "may", "lat"))
    assert test(0, list(b"never"))


def test_generation_is_never_cut():
    prompt = make_prompts(1, 1)[0]
    assert not stop_when_lost([Question((1,), (prompt,))], Letters())(0, list(b"zzz"))


def test_special_tokens_are_no_answer():
    (prompt,) = make_prompts(1, 1, ("yes", "no"))
    test = stop_when_lost([Question((1,), (prompt,))], Letters())
    assert not test(0, [0, *b"ye", 0])
    assert not test(0, [0])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" yes \nno", "yes"), ("\n\n yes\r\nno", "yes"), ("yes", "yes"), ("a\rb", "a"), ("", ""), (" \n ", ""),
        ("a\u2028b \n", "a\u2028b"),
    ],
)  # fmt: skip
def test_an_answer_is_its_first_line_where_lines_end_it(text, line):
    assert answer_text(text, EvaluationConfig(stop="line")) == line
    assert answer_text(text, EvaluationConfig()) == text.strip()


def test_decoding_ends_with_the_first_line_that_holds_something():
    (prompt,) = make_prompts(1, 1)
    test = early_stop([Question((1,), (prompt,))], Letters(), EvaluationConfig(stop="line"))
    assert [text for text in ("", "\n", "\n a", "a", "a\n", "\na b\nc", "a\r") if test(0, list(text.encode()))] == [
        "a\n", "\na b\nc", "a\r",
    ]  # fmt: skip
    assert early_stop([], Letters(), EvaluationConfig()) is None


def test_wrong_answers_are_cut_within_a_line_too():
    (prompt,) = make_prompts(1, 1, ("yes", "no"))
    question = Question((1,), (replace(prompt, references=("yes",)),))
    both = early_stop([question], Letters(), EvaluationConfig(stop="line", cut_wrong_answers=True))
    assert both(0, list(b"never"))
    assert both(0, list(b"ye\n"))
    assert not both(0, list(b"ye"))
    cut = early_stop([question], Letters(), EvaluationConfig(cut_wrong_answers=True))
    assert cut(0, list(b"never"))
    assert not cut(0, list(b"ye\n"))
