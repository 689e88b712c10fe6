"""Users' mistakes: what was given, what was probably meant, what is allowed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from instruct_ablate.errors import (
    BrokenInvariantError,
    ChangedMeanwhileError,
    UserError,
    UserErrors,
    abbreviates,
    among,
    closed,
    first_line,
    in_a_line,
    is_lasting,
    meant,
    nearest,
    refusal,
    unknown,
    with_kind,
)


def test_one_fault_is_told_as_it_is_and_several_as_a_list():
    assert type(refusal(["a is wrong"])) is UserError
    assert str(refusal(["a is wrong"])) == "a is wrong"
    both = refusal(["a is wrong", "b is too"])
    assert isinstance(both, UserErrors)
    assert both.faults == ("a is wrong", "b is too")
    assert str(both) == "- a is wrong\n- b is too"


def test_the_nearest_word_is_proposed_where_one_is_near():
    assert nearest("orignal", ["simplified", "original"]) == "; did you mean 'original'?"
    assert nearest("xyz", ["simplified", "original"]) == ""
    assert nearest("xbcdy", ["abcde"]) == "; did you mean 'abcde'?", "three letters of five are near enough"
    assert nearest("abxyz", ["abcde"]) == "; did you mean 'abcde'?", "two of five are just enough"
    assert nearest("axxyz", ["abcde"]) == ""


def test_before_a_further_sentence_there_is_an_end():
    assert closed("orignal", ["original"]) == "; did you mean 'original'?"
    assert closed("xyz", ["original"]) == "."


@pytest.mark.parametrize(
    ("given", "meant_key"),
    [
        ("trainer.lr", "trainer.learning_rate"),
        ("lr", "trainer.learning_rate"),
        ("trainer.bs", "trainer.batch_size"),
        ("data.lr", ""),
        ("trainer.l", ""),
    ],
)
def test_first_letters_stand_for_a_key(given: str, meant_key: str):
    keys = ["trainer.loss", "trainer.learning_rate", "trainer.batch_size", "logger"]
    assert [key for key in keys if abbreviates(given, key)] == ([meant_key] if meant_key else [])
    if meant_key:
        assert nearest(given, keys) == f"; did you mean {meant_key!r}?"


def test_all_that_is_allowed_is_named():
    assert meant("xyz", ["b", "a"]) == ". Allowed: b, a."
    assert meant("aa", ["ab", "aac"]) == "; did you mean 'aac'? Allowed: ab, aac."
    assert str(unknown("metric", "xyz", {"b", "a"})) == "unknown metric 'xyz'. Allowed: a, b."


def test_numbers_among_names_stand_by_their_size():
    assert str(unknown("choice", "7x", ["all", "10", "8", "100", "2"])).endswith(
        "Allowed: 2, 8, 10, 100, all."
    )


def test_only_what_is_allowed_goes_through():
    among("metric", "a", ("a", "b"))
    with pytest.raises(UserError, match=r"unknown metric 'c'\. Allowed: a, b"):
        among("metric", "c", ("b", "a"))


@pytest.mark.parametrize("tell", [in_a_line, first_line, with_kind])
@pytest.mark.parametrize("error", [MemoryError(), ValueError(""), OSError("\n  \n")])
def test_an_error_that_says_nothing_is_told_by_its_kind(tell, error: Exception):
    assert tell(error) == type(error).__name__


def test_an_error_that_says_several_lines_is_told_as_the_place_needs_it():
    error = RuntimeError("no room\n left  here ")
    assert in_a_line(error) == "no room left here"
    assert in_a_line(error, 7) == "no room"
    assert first_line(error) == "no room"
    assert with_kind(error) == "RuntimeError: no room\n left  here"
    assert with_kind(error, 9) == "RuntimeError: no room l"
    assert with_kind(MemoryError(), 9) == "MemoryError"


SOURCE = Path(__file__).parents[1] / "src"
LOGS = ("log", "TRACES")


def _kinds(node: ast.expr | None) -> Iterator[str]:
    """Yield the names of what a handler catches."""
    if isinstance(node, ast.Tuple):
        for each in node.elts:
            yield from _kinds(each)
    elif isinstance(node, ast.Starred):
        yield from _kinds(node.value)
    else:
        yield ast.unparse(node).rpartition(".")[2] if node else "BaseException"


def _told_bare(handler: ast.ExceptHandler) -> Iterator[int]:
    """Yield the lines that put a caught error into a text as it is: `str`, an f-string's braces, a log's argument."""

    def caught(node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == handler.name

    for node in ast.walk(handler):
        if isinstance(node, ast.FormattedValue) and caught(node.value):
            yield node.lineno
        elif isinstance(node, ast.Call) and any(map(caught, node.args)):
            called = node.func.value if isinstance(node.func, ast.Attribute) else node.func
            if isinstance(called, ast.Name) and called.id in ("str", *LOGS):
                yield node.lineno


def bare_tellings(files: dict[str, str]) -> list[str]:
    """List where a handler of errors that are not the package's own tells one without `in_a_line` and its siblings."""
    trees = {name: ast.parse(text) for name, text in files.items()}
    ours = {
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Error", "Errors", "Interrupted"))
    }
    return [
        f"{name}:{line}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and not {*_kinds(node.type)} <= ours
        for line in _told_bare(node)
    ]


def test_no_place_tells_a_librarys_error_without_a_kind_for_an_empty_one():
    """`failed: MemoryError:`, `cannot be read ()` and an IndexError at the first of no lines were such places."""
    files = {str(path.relative_to(SOURCE)): path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
    assert len(files) > 300
    assert bare_tellings(files) == []


@pytest.mark.parametrize("told", ["str(e)[:9]", "f'no: {e}'", "log.error('%s', e)"])
def test_such_a_place_is_noticed(told: str):
    text = "try:\n    pass\nexcept {kind} as e:\n    x = {told}\n"
    assert bare_tellings({"a": text.format(kind="(OSError, b.OwnError)", told=told)}) == ["a:4"]
    ours = "class OwnError(Exception): ...\n" + text.format(kind="b.OwnError", told=told)
    assert bare_tellings({"a": ours}) == []


def _after(error: BaseException, before: BaseException) -> BaseException:
    error.__cause__ = before
    return error


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (UserError("the loss became nan"), True),
        (BrokenInvariantError("a weight is NaN"), True),
        (ChangedMeanwhileError("the data changed"), False),
        (ZeroDivisionError("in a metric"), True),
        (_after(UserError("not JSON"), ValueError("at 3")), True),
        (_after(UserError("the disk is full"), OSError("no space")), False),
        (_after(UserError("it cannot be fetched"), ConnectionError("no route")), False),
        (RuntimeError("CUDA error"), False),
        (MemoryError(), False),
    ],
)
def test_errors_that_pass_are_told_from_those_that_come_again(error: BaseException, lasting: bool) -> None:
    assert is_lasting(error) is lasting
