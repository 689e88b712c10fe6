from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from instruct_ablate.cell.state.identity import Contents, Data
from instruct_ablate.configuration.composition import keys
from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.grid import sweep
from instruct_ablate.grid.checking.unread import READ, READERS, unread
from instruct_ablate.grid.composing.composer import put_at
from instruct_ablate.grid.planning.plan import compose_plan
from instruct_ablate.schema import Config
from tests.standins import make_config

LORA = [
    f"method.{name}"
    for name in (
        *("rank", "alpha", "dropout", "target_modules", "target", "layers", "rslora", "dora"),
        "learning_rate_factor",
    )
]
# Of a full tuning of a decoder-only model on the originals, with the keys' defaults.
IN_NONE = {
    *LORA,
    *(
        "instruction.rate",
        "instruction.correct",
        "instruction.annotation",
        "instruction.corpus",
    ),  # at a value
    *("data.altered_share", "data.group_size", "prompt.end_of_source", "evaluation.at_instances"),
}


@pytest.fixture(autouse=True)
def _no_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instruct_ablate.cell.state.identity._data", lambda config: Data("data"))
    monkeypatch.setattr(
        "instruct_ablate.cell.state.identity.weights_fingerprint", lambda config: config.model.name
    )


def told(configs: list[Config], *arguments: str) -> list[str]:
    return unread(configs, arguments, Contents())


def plain(folder: Path) -> Config:
    """A cell that reads neither of two files, and names both."""
    return changed(make_config(folder), instruction__annotation="a.yaml", instruction__corpus="c.txt")


def changed(config: Config, **changes: Any) -> Config:
    for key, value in changes.items():
        config = put_at(config, key.replace("__", "."), value)
    return config


def test_every_key_that_no_cell_reads_and_no_other(tmp_path: Path) -> None:
    said = told([plain(tmp_path)], *(f"{key}=1" for key in keys()))
    assert {line.partition("=")[0] for line in said} == IN_NONE


def test_what_stands_within_a_mapping_is_not_asked_for(tmp_path: Path) -> None:
    own = plain(tmp_path)
    general = changed(own, evaluation__general={"reader": "everyday"})
    for word in (
        "evaluation.general.reader=everyday",
        "~evaluation.general.reader",
        "+evaluation.general.root=x",
    ):
        assert told([general, own], word) == []
        assert told([own], word) == []


@pytest.mark.parametrize(
    ("read", "key"),
    [
        *(({"method__name": "lora"}, key) for key in LORA),
        ({"instruction__definition": "deleted"}, "instruction.rate"),
        ({"instruction__examples": "partly_correct"}, "instruction.correct"),
        ({"instruction__definition": "no_input_content"}, "instruction.annotation"),
        ({"instruction__examples": "ood_inputs"}, "instruction.corpus"),
        ({"instruction__definition": "deleted"}, "data.altered_share"),
        ({"data__grouping": "task"}, "data.group_size"),
        ({"evaluation__at": [0.5]}, "evaluation.at_instances"),
        ({"evaluation__every_epochs": 1.0}, "evaluation.at_instances"),
        ({"model__name": "tiny_t5"}, "prompt.end_of_source"),
    ],
)
def test_one_cell_that_reads_a_key_is_enough(tmp_path: Path, read: dict[str, Any], key: str) -> None:
    own = plain(tmp_path)
    assert len(told([own, replace(own, seed=1)], f"{key}=1")) == 1
    assert told([own, changed(own, **read)], f"{key}=1") == []


@pytest.mark.parametrize(
    ("unread_by", "key"),
    [
        ({"trainer__max_steps": 3}, "trainer.epochs"),
        ({"evaluation__decoding": "rank"}, "evaluation.cut_wrong_answers"),
        ({"evaluation__decoding": "constrained"}, "evaluation.cut_wrong_answers"),
        ({"data_budget__total": 30}, "data_budget.instances_per_task"),
    ],
)
def test_keys_that_another_one_takes_the_place_of(
    tmp_path: Path, unread_by: dict[str, Any], key: str
) -> None:
    own = plain(tmp_path)
    assert told([own], f"{key}=1") == []
    assert len(told([changed(own, **unread_by)], f"{key}=1")) == 1


def test_what_is_said_and_of_whom(tmp_path: Path) -> None:
    own = plain(tmp_path)
    configs = [changed(own, method__rank=rank) for rank in (4, 8)]
    (line,) = told(configs, "method.rank=4,8", "seed=0", "data_budget=8", "method=full")
    assert line == (
        "method.rank=4,8 changes nothing here: no trained cell reads it; method=lora does. Leave it out."
    )
    untuned = changed(own, data_budget__instances_per_task=0)
    assert told([untuned], "method.rank=4") == []  # nothing that would seem to have it
    assert len(told([untuned, own], "method.rank=4")) == 1


def test_readers_are_named_of_keys_that_are_there() -> None:
    assert {key for key in {*READ, *READERS} if "." in key} <= set(keys())


NAMED = re.compile(r"([a-z_.]+)=([\w.]+)$")  # the last override that a reader is told by


def reading(config: Config, told_by: str) -> Config:
    """Apply the override that a message names: a value, or what stands in a group's choice."""
    key, value = NAMED.search(told_by).groups()  # type: ignore[union-attr]
    if "." in key:
        return put_at(config, key, yaml.safe_load(value))
    chosen = yaml.safe_load((config_directory() / key / f"{value}.yaml").read_text())
    for name, given in chosen.items():
        if name != "defaults":
            config = put_at(config, f"{key}.{name}", given)
    return config


def test_every_key_that_may_be_unread_is_told_with_what_reads_it_and_that_does(tmp_path: Path) -> None:
    """The list of readers is made by hand: a key that lacks one, or has a wrong one, is found here."""
    own = changed(plain(tmp_path), data_budget__total=30, trainer__max_steps=3, evaluation__decoding="rank")
    found = [key for key in keys() if told([own], f"{key}=1")]
    assert {*READ} - {"evaluation.stop", "evaluation.answer_slack"} <= {*found}, (
        "starter has generation tasks"
    )
    assert {key for key in READERS if "." in key} <= {*found}
    for key in found:
        (line,) = told([own], f"{key}=1")
        reader = re.search(r"; (.*) does\. Leave it out", line)
        assert reader, f"{key}: READERS or READ names nobody who reads it"
        if NAMED.search(reader[1]):
            assert told([reading(own, reader[1])], f"{key}=1") == [], (key, reader[1])


def test_a_plan_says_it_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(sweep.log, "warning", lambda *words: said.append(words[0] % words[1:]))
    plan = compose_plan(["model=tiny_llama", f"cache={tmp_path}", "method.rank=4", "trainer.epochs=2"])
    assert [line.partition("=")[0] for line in said] == ["method.rank"]
    assert not plan.faults
