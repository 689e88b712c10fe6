from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.grid.composing.overrides import (
    check,
    for_hydra,
    from_params,
    is_sweep,
    long_form,
    parse,
    split,
)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("seed=1", ("", "seed", "1")),
        ("+trainer.threads=2", ("+", "trainer.threads", "2")),
        ("~logger", ("~", "logger", "")),
        ("tasks.columns.input=a=b", ("", "tasks.columns.input", "a=b")),
        ("hydra/launcher=joblib", ("", "hydra/launcher", "joblib")),
    ],
)
def test_split(given: str, parts: tuple[str, str, str]) -> None:
    assert split(given) == parts


@pytest.mark.parametrize("given", ["seed", "=3", "a b=c", "se ed=1"])
def test_what_is_no_override_is_refused(given: str) -> None:
    with pytest.raises(UserError, match="cannot read"):
        split(given)


@pytest.mark.parametrize(
    ("given", "quoted"),
    [
        ("data_budget=0,2", "data_budget='0','2'"),
        ("data_budget=8", "data_budget='8'"),
        ("data_budget= 8 , all", "data_budget='8', all"),
        ("seed=0,1", "seed=0,1"),
        ("data_budget.instances_per_task=3", "data_budget.instances_per_task=3"),
        ("instruction=original", "instruction=original"),
        ("~experiment", "~experiment"),
        ("data_budget=-1,1.5", "data_budget='-1','1.5'"),
        ("model=true", "model='true'"),
        ("tasks.columns.input=text", "++tasks.columns.input=text"),
        ("tasks.columns={input: a, output: b}", "++tasks.columns={input: a, output: b}"),
        ("+tasks.columns.input=text", "+tasks.columns.input=text"),
    ],
)
def test_numbers_are_quoted_for_groups_alone_and_own_keys_added(given: str, quoted: str) -> None:
    assert for_hydra(given) == quoted


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("study=2024_01", "2024_01"),
        ("study=1.50", "1.50"),
        ("model.revision=12e4567", "12e4567"),
        ("model.revision=0123", "0123"),
        ("tasks.name=true", "true"),
        ("prompt.system=True", "True"),
        ("prompt.system=nan", "nan"),
        ("prompt.system='1_0'", "1_0"),
        ('prompt.system="yes, 1_0, [true]"', "yes, 1_0, [true]"),
        ("prompt.system=1.50 metres", "1.50 metres"),
        ("prompt.system=null", None),
        ("tasks.labels=[true, false, 1_0]", ["true", "false", "1_0"]),
        ("tasks.labels=[a,'false',.5]", ["a", "false", ".5"]),
        ("tasks.columns={input: 1_0, output: true}", {"input": "1_0", "output": "true"}),
        ("tasks.columns.input=1_0", "1_0"),
        ("seed=1_0", 10),
        ("trainer.compile=true", True),
    ],
)
def test_a_text_stays_as_it_is_spelt(given: str, text: object) -> None:
    line = for_hydra(given)
    assert parse(line).value() == text
    assert for_hydra(line.removeprefix("++")) == line, "read again, of a cell of a grid"


def test_texts_that_are_swept_stay_as_they_are_spelt() -> None:
    swept = parse(for_hydra("model.revision=1e10,1_0,main,true"))
    each = [parse(f"model.revision={one}").value() for one in swept.sweep_string_iterator()]
    assert each == ["1e10", "1_0", "main", "true"]
    assert list(parse(for_hydra("tasks.name=range(1,3)")).sweep_iterator()) == [1, 2]


def test_params_that_yaml_took_for_no_text_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.revision\[1\]=true must be one text: write it in quotes"):
        from_params({"model.revision": ["main", True]})
    assert from_params({"trainer.compile": [True, False]}) == ["trainer.compile=True,False"]


def test_params_of_an_experiment_may_be_text_numbers_or_lists() -> None:
    params = {"data_budget": "0,10", "seed": [0, 23], "instruction": ["a", "b"], "trainer.threads": None}
    assert from_params(params) == [
        "data_budget='0','10'",
        "seed=0,23",
        "instruction=a,b",
        "trainer.threads=null",
    ]
    assert from_params({"data_budget": 0}) == ["data_budget='0'"]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("instrction=a", "did you mean 'instruction'"),
        ("trainer.learnin_rate=1", "did you mean 'trainer.learning_rate'"),
        ("learning_rate=1", "did you mean 'trainer.learning_rate'"),
        ("+sed=1", "did you mean 'seed'"),
        ("qqqqqq=1", "train.py --help` lists them"),
    ],
)
def test_misspelt_keys_name_the_nearest(given: str, hint: str) -> None:
    with pytest.raises(UserError, match=hint):
        check([given])


def test_all_misspelt_keys_are_told_at_once() -> None:
    with pytest.raises(UserErrors) as caught:
        check(["instrction=a", "sed=1", "seed=1"])
    assert len(caught.value.faults) == 2


def test_known_keys_and_hydras_own_pass() -> None:
    check(
        [
            "seed=1",
            "experiment=x",
            "hydra/launcher=ray",
            "hydra.verbose=true",
            "tasks.columns.input=q",
            "~logger",
        ]
    )


def test_sweeps_are_told_from_single_values() -> None:
    assert is_sweep("instruction=a,b")
    assert is_sweep("seed=range(3)")
    assert not is_sweep("instruction=a")
    assert not is_sweep("evaluation.instructions=[a,b]")


@pytest.mark.parametrize("given", ["./mine", "some/mine", "~/mine", "/data/mine", "org/name"])
def test_a_folder_as_the_choice_of_model_is_short_for_its_path(given: str) -> None:
    assert long_form(f"model={given}") == ["model=pretrained", f"model.path={given}"]


def test_a_folder_of_the_working_directory_needs_no_slash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert long_form("model=mine") == ["model=mine"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    assert long_form("model=mine") == ["model=pretrained", "model.path=mine"]
    assert long_form("model=tiny_llama,mine") == ["model=tiny_llama,mine"]  # expanded first


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("study=é", """'study='"'"'é'"'"''"""),
        ("study=a=b", """'study='"'"'a=b'"'"''"""),
        ("study=it's", '''study="it'"'"'s"'''),
    ],
)
def test_quotes_are_suggested_where_hydra_needs_them(given: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        check([given])
    assert hint in str(caught.value)
    (word,) = shlex.split(str(caught.value).rpartition("quote the value: ")[2])
    assert parse(word).value() == given.partition("=")[2]


def test_a_space_behind_a_comma_is_told_of() -> None:
    with pytest.raises(UserError, match=r"a space ends a word: .* as in seed=0,1"):
        check(["instruction=original,"])  # what a shell leaves of `instruction=original, simplified`
