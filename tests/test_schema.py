"""Every key of the schema against every bad value: refused before the first cell in one line, or the cell runs."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import field, fields, is_dataclass, make_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from omegaconf import MISSING, OmegaConf

from instruct_ablate.cell.mirror import settings as mirror
from instruct_ablate.cell.run import settings as cell
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.configuration.composition import explain, keys
from instruct_ablate.configuration.typed_values import plain, takes_several
from instruct_ablate.data import settings as data
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.grid.checking import preflight
from instruct_ablate.grid.checking.preflight import Preflight
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.grid.composing.overrides import parse, prepared
from instruct_ablate.instruction import settings as instruction
from instruct_ablate.limits import Limits
from instruct_ablate.metrics import measures
from instruct_ablate.model.decoding import settings as decoding
from instruct_ablate.model.loading import settings as loading
from instruct_ablate.model.training import settings as training
from instruct_ablate.prompt import settings as prompt
from instruct_ablate.schema import (
    Config,
    DataConfig,
    EvaluationConfig,
    PromptConfig,
    TasksConfig,
    TrainerConfig,
)
from instruct_ablate.tasks import settings as tasks
from instruct_ablate.tasks.sampling import budget
from tests.standins import replace_inputs, work

LIMITS: dict[str, Limits] = {
    "tasks": tasks.LIMITS,
    "instruction": instruction.LIMITS,
    "data_budget": budget.LIMITS,
    "model": loading.LIMITS,
    "method": training.METHOD,
    "prompt": prompt.LIMITS,
    "data": data.LIMITS,
    "evaluation": decoding.LIMITS,
    "trainer": {**data.BATCHES, **training.OPTIMISATION, **training.MACHINE},
    "logger": mirror.LIMITS,
    "report": measures.LIMITS,
}
NUMBERS = ("0", "-1", "1", "1.5", "1e30", "99999999999999999999", "nan", "inf", "-inf", "-0.0")
TEXTS = (
    "''",
    "' '",
    "abc",
    "'é 实验'",
    "'a\tb'",
    "'a\0b'",
    "../x",
    "/",
    "'it''s'",
    '"=1+1"',
    5000 * "x",
    "~",
    "a.b",
)
OTHER = (
    "null",
    "true",
    "[]",
    "[a]",
    "['']",
    "[null]",
    "[[1]]",
    "[1,2]",
    "{}",
    "{a:1}",
    "${nothing}",
    "???",
    "${seed}",
)
VALUES = (*NUMBERS, *TEXTS, *OTHER)
REAL_CHECKS = preflight.cell_checks


def test_what_is_missing_is_what_omegaconf_takes_for_it() -> None:
    assert TasksConfig().reader == MISSING


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A trained cell of the tiny model, with stand-ins for its data, weights and work."""
    replace_inputs(monkeypatch)
    monkeypatch.setattr(preflight, "cell_checks", REAL_CHECKS)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    words = ["model=tiny_llama", "method=lora", "logger=none", "tasks.test_tasks=2", "tasks.test_instances=2"]
    return compose_config([*words, "reuse=none"])


class Outcomes:
    """Tries overrides on a base as the command would, and counts what became of them."""

    def __init__(self, base: Config) -> None:
        self.base, self.preflight, self.counts = base, Preflight(), Counter[str]()
        values = {name: value for name, value in vars(base).items() if not is_dataclass(value)}
        hints = get_type_hints(Config)
        top = make_dataclass("Top", [(name, hints[name], field(default=MISSING)) for name in values])
        groups = {name: value for name, value in vars(base).items() if is_dataclass(value)}
        self.parts: dict[str, Any] = {**groups, "": top(**values)}

    def of(self, line: str) -> None:
        """Demand that a line is refused in one line, or that its cell runs."""
        faults = self._faults(line)
        self.counts["refused" if faults else "ran"] += 1
        for fault in faults:
            assert "\n" not in fault, (line, fault)
            assert 5 < len(fault) < 1000, (line, fault)

    def _faults(self, line: str) -> tuple[str, ...]:
        try:
            config = self._composed(line)
            faults = self.preflight.of_values(config)
            if not faults:
                identify(config)
                faults = self.preflight.of_cell(config)
        except UserErrors as fault:
            return fault.faults
        except UserError as fault:
            return (str(fault),)
        if not faults:
            record = run_cell(replace(config, logger=replace(config.logger, name="none")), work)
            assert record.state == "done", (line, record.failure)
        return tuple(faults)

    def _composed(self, line: str) -> Config:
        """Put a value at its key as Hydra does, without composing all else again."""
        word = (prepared([line]) or ["seed=0"])[-1]
        override = parse(word)
        if override.is_sweep_override():
            raise UserError("names several values")
        group, _, name = override.key_or_group.rpartition(".")
        if group not in self.parts:
            raise UserError("no group with one value of this name")
        tree = OmegaConf.structured(self.parts[group])
        try:
            OmegaConf.update(tree, name, override.value(), merge=True)
            raw = OmegaConf.to_container(tree, resolve=False)
            made: Any = OmegaConf.to_object(
                OmegaConf.merge(OmegaConf.structured(type(self.parts[group])), raw)
            )
        except Exception as error:
            if (fault := explain(error)) is None:
                raise
            raise fault from error
        return replace(self.base, **({group: made} if group else vars(made)))


def leaves() -> Iterator[str]:
    """Name the keys that hold values."""
    hints = get_type_hints(Config)
    yield from (key for key in keys() if not is_dataclass(hints.get(key)))


def test_every_key_has_a_limit() -> None:
    limits = {f"{group}.{name}" for group, named in LIMITS.items() for name in named} | {*cell.LIMITS}
    assert limits == set(leaves())


def test_every_group_is_walked() -> None:
    hints = get_type_hints(Config)
    groups = {item.name for item in fields(Config) if is_dataclass(hints[item.name])}
    assert {*preflight.GROUPS} == groups - {"evaluation", "report"}  # evaluation reads the instruction too


@pytest.mark.timeout(
    1200
)  # runs hundreds of small cells; a machine that is busy takes more than the usual limit
def test_every_key_refuses_or_runs_every_value(base: Config) -> None:
    outcomes = Outcomes(base)
    for key in leaves():
        for value in VALUES:
            outcomes.of(f"{key}={value}")
    assert sum(outcomes.counts.values()) == len(list(leaves())) * len(VALUES)
    assert outcomes.counts["refused"] > outcomes.counts["ran"] > 100


def test_defaults_are_stated_once(base: Config) -> None:
    assert base.trainer == TrainerConfig()
    assert base.data == DataConfig()
    assert base.evaluation == EvaluationConfig()


def fuzzed(chance: random.Random) -> str:
    """Make an override of pieces that are often right and sometimes not."""
    key = chance.choice(
        [*leaves(), "model", "trainer", "experiment", "nonsense", "seed.x", "", "hydra.x", "tasks@a"]
    )
    pieces = [
        *VALUES,
        ",",
        "(",
        ")",
        "[",
        "{",
        "'",
        '"',
        "\\",
        "$",
        "#",
        " ",
        ":",
        "choice(",
        "range(",
        "sort(1,2)",
        "\x7f",
    ]
    value = "".join(chance.choice(pieces) for _ in range(chance.choice((1, 1, 2, 3))))
    return f"{chance.choice(('', '', '', '', '+', '++', '~', ' '))}{key}={value}"


def fuzz(base: Config, number: int) -> None:
    """Try so many made-up overrides, the same in every run."""
    outcomes, chance = Outcomes(base), random.Random(11)
    for _ in range(number):
        outcomes.of(fuzzed(chance))
    assert outcomes.counts["refused"] > 0.5 * number


def test_made_up_overrides(base: Config) -> None:
    fuzz(base, 300)


@pytest.mark.slow
def test_many_made_up_overrides(base: Config) -> None:
    fuzz(base, 1000)


DEFAULTS = {
    "tasks": {
        "root": None, "split": "default", "language": "English", "categories": [], "include": [],
        "train_categories": [], "train_include": [], "test_categories": [], "test_include": [], "test_tasks": None,
        "test_subset": None, "test_instances": 100, "label_spaces": None, "train_split": None, "test_split": None,
        "columns": {}, "definition": None, "labels": [], "mixture": None, "name": None,
        "train_on": "training_tasks", "validation": 0, "examples": 0, "sha256": None,
    },
    "instruction": {
        "definition": "original", "examples": "original", "num_positive": 2, "num_negative": 0, "explanations": False,
        "rate": 0.2, "correct": 0.5, "annotation": None, "corpus": None,
    },
    "data_budget": {"tasks": None},
    "model": {
        "path": None, "source": "pretrained", "revision": None, "trust_remote_code": False, "kind": None, "tries": 1,
        "end_of_source": None, "tuned": False,
    },
    "prompt": {
        "max_source_length": 1024, "max_target_length": 128, "end_of_source": None, "add_task_name": False,
        "training_template": "first",
    },
    "evaluation": {
        "instructions": ["same"], "decoding": "greedy", "metrics": [], "engine": "native", "batch_tokens": 16384,
        "cut_wrong_answers": False, "save_prompts": True, "at": [], "every_steps": None, "every_epochs": None,
        "at_instances": None,
    },
    "method": {"rank": 16, "alpha": 32, "dropout": 0.0, "target_modules": []},
    "data": {"grouping": "none", "group_size": 8, "packing": True, "num_workers": 0, "encodings": "one",
             "references": "one"},
    "trainer": {
        "optimizer": "adamw", "learning_rate": 2e-4, "schedule": "constant", "warmup_steps": 0, "weight_decay": 0.0,
        "batch_size": 8, "epochs": 1.0, "max_steps": None, "gradient_clip": 1.0, "loss": "per_token",
        "precision": "auto", "accelerator": "auto", "devices": 1, "strategy": "auto", "num_nodes": 1,
        "micro_batch_tokens": 2048, "activation_checkpointing": False, "compile": False,
        "checkpoint_every_steps": 50, "threads": None, "progress": True, "dropout": 0.0,
        "select": "last", "patience": None,
    },
    "logger": {
        "name": "none", "project": "instruct-ablate", "entity": None, "mode": "auto", "tags": [], "timeout": 60.0,
        "predictions": 20,
    },
    "report": {"columns": [], "at_end": False},
    "": {
        "seed": 0, "study": "ablation", "output": "multirun", "retry": "failed", "reuse": "untuned", "until": "done",
        "fail_fast": False, "raise_faults": False,
        "detach": False, "with_untuned": True, "keep_checkpoints": False, "cell_timeout": None,
        "extensions": [], "hypotheses": [], "reference": "original",
    },
}  # fmt: skip


@pytest.mark.parametrize("group", DEFAULTS)
def test_a_default_that_moves_moves_the_identities_of_those_who_left_it_out(group: str) -> None:
    node: Any = getattr(Config(), group) if group else Config()
    assert {name: getattr(node, name) for name in DEFAULTS[group]} == DEFAULTS[group]


def test_what_has_no_default_must_be_given() -> None:
    must = [
        ("tasks", "reader"),
        ("model", "name"),
        ("method", "name"),
        ("prompt", "template"),
        ("data_budget", "instances_per_task"),
    ]
    for group, name in must:
        assert getattr(getattr(Config(), group), name) == MISSING
    assert Config().cache == MISSING


def test_templates_alone_may_be_several() -> None:
    several = [
        (node.__name__, name)
        for node in (Config, *(hint for hint in get_type_hints(Config).values() if is_dataclass(hint)))
        for name in get_type_hints(node)
        if takes_several(node, name)
    ]
    assert several == [("PromptConfig", "template")]
    assert filled(prompt={"template": ["plain", "alpaca"]}).prompt.template == "plain+alpaca"


@pytest.mark.parametrize(("given", "ends"), [(None, True), (True, True), (False, False)])
def test_a_source_is_closed_unless_told_otherwise(given: bool | None, ends: bool) -> None:
    assert PromptConfig("plain", end_of_source=given).ends_source is ends


def filled(**given: Any) -> Config:
    """The schema with what must be given, and these values as a file or a command brings them."""
    base = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(Config)))
    must = {
        "tasks": {"reader": "starter"},
        "data_budget": {"instances_per_task": 1},
        "model": {"name": "m"},
        "method": {"name": "full"},
        "prompt": {"template": "plain"},
        "cache": "c",
    }
    return plain(OmegaConf.merge(base, must, given))


def test_a_bare_text_is_a_list_of_one_where_a_list_belongs() -> None:
    config = filled(
        tasks={"include": "a*", "labels": ["x"]}, extensions="mine.py", hypotheses=["one", "two"], study="s"
    )
    assert (config.tasks.include, config.tasks.labels) == (["a*"], ["x"])
    assert (config.extensions, config.hypotheses, config.study) == (["mine.py"], ["one", "two"], "s")


def test_what_is_still_to_be_filled_in_is_no_bare_text() -> None:
    assert filled(study="own", extensions=["${study}.py"]).extensions == ["own.py"]
    assert filled(extensions="${hypotheses}", hypotheses=["a", "b"]).extensions == ["a", "b"]
