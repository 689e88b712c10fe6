"""Every block of the README and of the guide is known here, and what is not run is right all the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from instruct_ablate.command_line import group
from instruct_ablate.grid.composing.overrides import is_sweep
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.python_api import compose
from tests.docs.blocks import TOP, Block, blocks, printed_commands
from tests.docs.not_run import NOT_RUN, SHOWN
from tests.docs.steps import place, reason, shown

COMMANDS = printed_commands()


def test_every_block_is_typed_or_a_file_or_says_what_it_shows() -> None:
    others = [block for block in blocks() if not (block.is_shell or block.is_python or block.file)]
    unknown = [place(block) for block in others if shown(block) is None]
    assert not unknown, "neither run nor in tests/docs/not_run.py"
    assert {shown(block) for block in others} == set(SHOWN), "no page shows it any more"


def test_what_is_not_run_is_printed_and_says_who_runs_it() -> None:
    for start, why in NOT_RUN.items():
        assert any(command.startswith(start) for _, command in COMMANDS), f"no page says {start!r} any more"
        for path in re.findall(r"(?:tests|\.ci)/\S+", why):
            assert (TOP / path).is_file(), path


def test_make_targets_are_there() -> None:
    makefile = (TOP / "Makefile").read_text(encoding="utf-8")
    for block, command in COMMANDS:
        if command.startswith("make "):
            assert f"\n{command.split()[1]}:" in makefile, place(block)


def is_training(command: str) -> bool:
    return "train.py" in command or command.startswith("instruct-ablate train ")


UNRUN = [(block, command) for block, command in COMMANDS if is_training(command) and reason(command)]


@pytest.mark.parametrize(
    ("block", "command"), UNRUN, ids=lambda one: place(one) if isinstance(one, Block) else ""
)
def test_overrides_of_what_is_not_run_compose(
    block: Block, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that are not run, with the first of several values; sweepers of extras need not be here."""
    monkeypatch.chdir(tmp_path)
    elsewhere = re.compile("hydra[./]sweeper|experiment=NAME")
    words = [word for word in shlex.split(command)[2:] if "=" in word and not elsewhere.match(word)]
    compose(*(first_value(word) if is_sweep(word) else word for word in words))


def first_value(word: str) -> str:
    """The first of several values, or where an interval begins."""
    interval = re.search(r"interval\(([^,]+),", word)
    return f"{word.partition('=')[0]}={interval[1]}" if interval else word.partition(",")[0]


@pytest.mark.parametrize(
    ("block", "command"),
    [(b, c) for b, c in COMMANDS if c.startswith("instruct-ablate")],
    ids=lambda one: place(one) if isinstance(one, Block) else "",
)
def test_options_are_there(block: Block, command: str) -> None:
    import click

    words = shlex.split(command)[1:]
    sub = group.get_command(click.Context(group), words[0])
    assert sub is not None
    try:
        sub.make_context(words[0], words[1:])
    except click.UsageError as fault:  # a path that is not here is no fault of the page
        if "does not exist" not in str(fault):
            pytest.fail(f"{place(block)}: {fault}")


def test_hypotheses_are_read() -> None:
    import yaml

    (block,) = [block for block in blocks() if block.first == "hypotheses:"]
    for text in yaml.safe_load(block.text)["hypotheses"]:
        parse_hypothesis(text)


def test_the_agents_of_wandb_get_keys_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first value of each."""
    import yaml

    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in blocks() if block.first == "program: train.py"]
    sweep = yaml.safe_load(block.text)
    fixed = [word for word in sweep["command"] if "=" in word]
    compose(*fixed, *(f"{key}={one['values'][0]}" for key, one in sweep["parameters"].items()))


def named(block: Block) -> Iterator[str]:
    """Yield the paths that a drawn tree names, by their indentation."""
    above: list[tuple[int, str]] = []
    for line in block.text.splitlines():
        if not (found := re.match(r"( *)([\w./]+/|[\w.]+\.py)(?=\s|$)", line)):
            continue
        above = [one for one in above if one[0] < len(found[1])]
        yield "".join(name for _, name in above) + found[2]
        above.append((len(found[1]), found[2]))


def test_the_drawn_files_are_there() -> None:
    (block,) = [block for block in blocks() if block.first.startswith("train.py  ")]
    names = list(named(block))
    assert len(names) > 15
    assert [name for name in names if not (TOP / name).exists()] == []
