"""The grammar of variants' names."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.label import canonical, counted, label, parse, versions
from instruct_ablate.schema import InstructionConfig as Config

HERE = "instruct_ablate.instruction"  # where functions by dotted path are taken from
PAIRS = [
    ("original", Config()),
    ("simplified", Config(definition="simplified")),
    ("no_definition", Config(definition="empty")),
    ("delusive", Config(examples="delusive")),
    ("no_examples", Config(examples="empty")),
    ("simplified+delusive", Config("simplified", "delusive")),
    ("empty+empty", Config("empty", "empty")),
    ("deleted(0.2)", Config(definition="deleted")),
    ("partly_correct(0.25)", Config(examples="partly_correct", correct=0.25)),
    ("deleted(0.4)+partly_correct(0)", Config("deleted", "partly_correct", rate=0.4, correct=0.0)),
    ("deleted(0.1234567)", Config("deleted", rate=0.1234567)),
    (
        "deleted(1e-05)+partly_correct(0.3333333333333333)",
        Config("deleted", "partly_correct", rate=1e-5, correct=1 / 3),
    ),
    (f"{HERE}.definitions.irrelevant", Config(definition=f"{HERE}.definitions.irrelevant")),
    (f"original+{HERE}.examples.outputs_only", Config(examples=f"{HERE}.examples.outputs_only")),
    (f"{HERE}.noise.deleted(0.4)", Config(definition=f"{HERE}.noise.deleted", rate=0.4)),
]


@pytest.mark.parametrize(("text", "config"), PAIRS, ids=[text for text, _ in PAIRS])
def test_label_and_parse_are_inverse(text: str, config: Config) -> None:
    assert label(config) == text
    assert parse(text, Config()) == config


def test_parse_keeps_the_rest_of_the_base() -> None:
    base = Config("simplified", "delusive", num_positive=1, rate=0.7)
    assert parse("same", base) is base
    assert parse("original", base) == Config(num_positive=1, rate=0.7)
    assert parse("empty+original", base) == Config("empty", "original", num_positive=1, rate=0.7)
    assert parse("deleted", base).rate == 0.7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("delusve", "did you mean 'delusive'"),
        ("a+b+c", r"definition\+examples"),
        ("simplified+", "name or name"),
        ("simplified(0.2)", "takes no number"),
        ("deleted(2)", "between 0 and 1"),
        ("deleted(1.2.3)", "is no number"),
        ("simplified+simplified", "unknown variant of instruction.examples"),
        ("deleted(x)", "name or name"),
    ],
)
def test_faulty_labels_are_told(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(text, Config())


def test_versions_name_what_is_no_longer_as_it_was_at_first() -> None:
    assert versions([Config(), Config("simplified")]) == []
    assert versions([Config(), Config("simplified", "delusive")]) == ["delusive 2"]
    assert versions([Config(examples="delusive", num_positive=0)]) == [], "no example is shown"


def test_canonical_forgets_what_is_not_read() -> None:
    assert canonical(Config(rate=0.9, correct=0.1)) == Config()
    assert canonical(Config("deleted", rate=0.9)).rate == 0.9
    assert canonical(Config(examples="partly_correct", correct=0.1)).correct == 0.1
    assert canonical(Config(examples="empty", num_positive=2)) == canonical(Config(num_positive=0))
    assert canonical(Config("simplified", "partly_correct", 0, correct=0.1)) == canonical(
        Config("simplified", "empty")
    )


def test_shares_from_nothing_to_all_may_be_given() -> None:
    assert parse("deleted(0)", Config()).rate == 0.0
    assert parse("deleted(1)", Config()).rate == 1.0
    with pytest.raises(UserError, match="between 0 and 1"):
        parse("deleted(1.01)", Config())


def test_spaces_do_not_count_and_what_is_allowed_is_named() -> None:
    assert parse(" simplified + delusive ", Config()) == Config("simplified", "delusive")
    with pytest.raises(UserError, match=r"Allowed: .*delusive.*no_definition, no_examples.*same.*simplified"):
        parse("xyz", Config())


def test_examples_that_are_not_shown_are_no_part_of_a_name() -> None:
    assert label(Config(definition="deleted", examples="delusive", rate=0.5)) == "deleted(0.5)+delusive"
    bare = canonical(Config("deleted", "partly_correct", num_positive=0, rate=0.5, correct=0.1))
    assert bare == Config("deleted", "empty", num_positive=0, rate=0.5)
    assert canonical(Config(examples="partly_correct", num_positive=1, correct=0.1)).num_positive == 1


def test_a_users_file_counts_by_what_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("a line\n")
    one = Config(examples="ood_inputs", corpus=str(file))
    before = versions([one])
    assert any(told.startswith("corpus ") for told in before)
    assert counted(one) == counted(Config(examples="ood_inputs")), "not its path"
    file.write_text("another line\n")
    assert versions([one]) != before
    file.unlink()
    with pytest.raises(UserError, match=r"instruction\.corpus=.*: no such file"):
        versions([one])
    assert not any(told.startswith("corpus ") for told in versions([Config(corpus=str(file))])), "not read"


@pytest.mark.parametrize(
    ("config", "what_to_give"),
    [
        (Config("no_input_content", annotation="yin_2024"), "yin_2023 names the published one"),
        (Config(examples="ood_inputs", corpus="nowhere.txt"), "null for those shipped"),
    ],
)
def test_a_file_that_is_missing_is_told_with_what_to_give(config: Config, what_to_give: str) -> None:
    with pytest.raises(UserError, match=what_to_give):
        versions([config])
