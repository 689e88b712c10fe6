"""Everything that Hydra's grammar and options allow: refused in one line before the first cell, or it runs.

What is refused before anything is composed is tried here by the hundred; what composes goes through the command.
"""

from __future__ import annotations

import random

import pytest

from instruct_ablate.configuration.composition import groups, keys
from instruct_ablate.entry import prepared
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.grid.composing.expansion import Declared, expand
from instruct_ablate.grid.composing.overrides import HYDRA_KEYS, HYDRA_PARTS

REFUSED = [
    (("~hydra/launcher",), "nothing of Hydra's can be left out"),
    (("~hydra.job",), "laid out by this project"),
    (("hydra.sweep.dir=x",), "laid out by this project"),
    (("hydra.run.dir=/proc/x",), "laid out by this project"),
    (("hydra.job.chdir=true",), "laid out by this project"),
    (("hydra.job_logging.version=2",), "laid out by this project"),
    (("hydra.job_logging.root.level=NOTHING",), "Allowed: "),
    (("hydra.launcher=null",), "did you mean 'hydra/launcher'"),
    (("hydra.sweeper=null",), "did you mean 'hydra/sweeper'"),
    (("hydra.callbacks={}",), "laid out by this project"),
    (("+hydra.callbacks.a._target_=os.getcwd",), "laid out by this project"),
    (("hydra=null",), "laid out by this project"),
    (("hydra@x=default",), "laid out by this project"),
    (("hydra/launcher@x=basic",), "laid out by this project"),
    (("+trainer@data=default",), "leave out @data"),
    (("model@_global_=tiny_llama",), "leave out @_global_"),
    (("seed@=1",), "leave out @"),
    (("--nothing",), "unrecognized arguments: --nothing"),
    (("-m", "-x"), "unrecognized arguments: -x"),
    (("--multirun=1",), "ignored explicit argument"),
    (("--cfg",), "expected one argument"),
    (("--cfg", "x"), "invalid choice"),
    (("--info", "nothing"), "invalid choice"),
    (("--config-name",), "expected one argument"),
    (("--config-dir=",), "--config-dir is empty"),
    (("--run",), "leave out --run"),
    (("--experimental-rerun", "file"), "--experimental-rerun is not taken"),
    (("-m", "seed=choice()"), "empty choice"),
    (("-m", "seed=choice(choice(1,2))"), "nesting choices"),
    (("seed=choice(1)",), "add -m"),
    (("-m", "seed=range(a,b)"), "cannot read"),
    (("-m", "seed=sort(1,a)"), "cannot read"),
    (("seed=nothing(1)",), "Unknown function"),
    (("-m", "instruction=glob([)"), "cannot read"),
    (("-m", "seed=0,,1"), "cannot read"),
    (("-m", "seed=,"), "cannot read"),
    (("study=${",), "cannot read"),
    (("study=${${study}}",), "cannot read"),
    (("~",), "write key=value"),
    (("=1",), "write key=value"),
    ((" seed=1",), "write key=value"),
    (("seed\n=1",), "write key=value"),
    (("\ud800=1",), "write key=value"),
    (("seed=1\n",), "cannot read"),
    (("-vq",), "unrecognized arguments: -vq"),
]


def refusal_of(words: list[str]) -> str:
    """What `train.py` says to these words before it composes anything; empty where it goes on."""
    try:
        prepared(words)
    except UserErrors as fault:
        return max(fault.faults, key=lambda one: (one.count("\n"), len(one)))
    except UserError as fault:
        return str(fault)
    return ""


@pytest.mark.parametrize(("words", "part"), REFUSED, ids=[ascii(" ".join(words)) for words, _ in REFUSED])
def test_refused_before_anything_is_composed(words: tuple[str, ...], part: str) -> None:
    said = refusal_of([*words])
    assert part in said
    assert "\n" not in said
    assert len(said) < 1000


@pytest.mark.parametrize("key", [*HYDRA_KEYS, *(f"{part}x" for part in HYDRA_PARTS)])
def test_what_hydra_has_for_a_command(key: str) -> None:
    value = "INFO" if key.endswith("level") else "x"
    assert f"{key}={value}" in prepared(["-m", f"{key}={value}"])


def made_up(chance: random.Random) -> list[str]:
    """A command of pieces of Hydra's grammar."""
    names = [
        *keys(),
        *groups(),
        *HYDRA_KEYS,
        "hydra.x",
        "hydra",
        "",
        "nonsense",
        "seed@x",
        "model@model",
        "a/b",
        "-x",
    ]
    values = [
        "0", "1,2", "a", "''", "'a b'", '"a"', "choice(1,2)", "choice(", "range(3)", "range(1,0)", "range(0,1e9)",
        "interval(0,1)", "glob(*)", "glob([a*],exclude=b)", "sort(2,1)", "shuffle(1,2)", "tag(a,choice(1))", "int(1.5)",
        "str(1)", "json_str(1)", "extend_list(1)", "${seed}", "${nothing}", "${oc.env:X}", "${oc.env:X,1}", "${now:}",
        "${now:%Y}", "${", "${}", "{}", "{a:1}", "[", "[]", "[,]", "[a,,b]", "null", "", " ", "\\", "\\,", "$", "~",
        ",", "a=b", "\ud800", "\0", "'", "nan",
    ]  # fmt: skip
    options = [
        "-m",
        "--multirun",
        "-m",
        "--cfg",
        "job",
        "--config-name",
        "x",
        "--",
        "-",
        "",
        "-v",
        "--info",
        "-p",
    ]

    def word() -> str:
        if chance.random() < 0.15:
            return chance.choice(options)
        sign = chance.choice(("", "", "", "+", "++", "~", "+++", " "))
        value = "".join(chance.choice(values) for _ in range(chance.choice((1, 1, 1, 2))))
        return f"{sign}{chance.choice(names)}{chance.choice(('=', '=', '=', '=', '', '=='))}{value}"

    return [word() for _ in range(chance.choice((1, 1, 2, 3)))]


def expansion_of(words: list[str]) -> str:
    """What the sweeper says to them when it expands the grid."""
    own = [word for word in prepared(words) if "=" in word and not word.startswith(("-", "hydra"))]
    try:
        expand(Declared({}, []), own, lambda model: False)
    except UserError as fault:
        return str(fault)
    return ""


def test_a_thousand_made_up_commands_are_refused_in_a_line_or_can_be_expanded() -> None:
    chance, refused = random.Random(14), 0
    for _ in range(1000):
        words = made_up(chance)
        early = refusal_of(words)
        said = early or expansion_of(words)
        refused += bool(said)
        assert "\n" not in said, (words, said)
        assert len(said) < 1000, (words, said)
    assert 500 < refused < 1000
