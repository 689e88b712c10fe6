from __future__ import annotations

import logging
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from instruct_ablate import __version__, command_line
from instruct_ablate.command_line import group, main
from instruct_ablate.entry import prepared
from instruct_ablate.errors import UserError


def test_help_lists_every_command_with_what_it_does() -> None:
    result = CliRunner().invoke(group, ["--help"])
    assert result.exit_code == 0
    for word in ("status", "audit", "rescore", "Show the cells"):
        assert word in result.output
    told = result.output.partition("Commands:")[2]
    assert "..." not in told, "the first sentence of a command's help has more than 64 characters"


def test_every_command_has_help() -> None:
    for name in group.list_commands(None):  # type: ignore[arg-type]
        result = CliRunner().invoke(group, [name, "--help"])
        assert result.exit_code == 0, result.output


def example(name: str) -> list[str]:
    """The words of the example that a command's help shows, after its name."""
    command = group.get_command(click.Context(group), name)
    assert command is not None
    lines = [line.strip() for line in str(command.help).splitlines()]
    found = [line for line in lines if line.startswith(f"instruct-ablate {name}")][-1]
    assert len(found) < 78, "help is not wrapped within it"
    return shlex.split(found.partition(" >")[0])[2:]


@pytest.mark.parametrize("name", group.list_commands(click.Context(group)))
def test_the_example_in_a_command_s_help_can_be_typed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read as the command reads it, and its overrides are ones that there are."""
    monkeypatch.chdir(tmp_path)
    words = example(name)
    for word in words:
        if Path(word).suffix in (".jsonl", ".py"):
            Path(word).touch()
    command = group.get_command(click.Context(group), name)
    assert command is not None
    read = command.make_context(name, list(words))
    overrides = [word for key in ("overrides", "words") for word in read.params.get(key) or ()]
    if any("=" in word for word in words):
        assert [word for word in overrides if "=" in word]
    assert prepared(["-m", *overrides])
    shown = CliRunner().invoke(group, [name, "--help"]) if name != "train" else None
    assert shown is None or f"instruct-ablate {name}" in shown.output


def test_a_misspelt_command_names_the_nearest() -> None:
    result = CliRunner().invoke(group, ["staus"])
    assert isinstance(result.exception, UserError)
    assert "did you mean 'status'" in str(result.exception)


def test_mistakes_are_one_message_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["instruct-ablate", "status", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: no study at")


@pytest.mark.parametrize("command", ["train", "plan"])
def test_what_the_user_s_own_code_raises_is_one_message(tmp_path: Path, command: str) -> None:
    """Before: a traceback of some sixty lines."""
    (tmp_path / "mine.py").write_text(
        "from instruct_ablate.instruction.variant import variant\n\n"
        '@variant("definition")\ndef fails(task, context):\n    raise ValueError("no such word")\n'
    )
    words = ["extensions=[mine.py]", "instruction.definition=fails", "model=tiny_llama", "cache=cache"]
    run = subprocess.run(
        [sys.executable, "-m", "instruct_ablate.command_line", command, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1] == (
        "error: your own code raises ValueError: no such word, mine.py, line 5: "
        "mend it there, or leave out what calls it."
    )
    assert "Traceback" not in run.stderr


def test_it_starts_at_once_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from instruct_ablate.command_line import group;"
        "CliRunner().invoke(group, ['--help']);"
        "print([m for m in ('torch', 'transformers', 'hydra', 'pandas', 'omegaconf') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "instruct_ablate.command_line", "staus"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "did you mean 'status'" in done.stderr


def test_version_says_the_package_in_every_entry() -> None:
    words = ["instruct-ablate, version", __version__]
    for module in ("instruct_ablate", "instruct_ablate.command_line"):
        for before in ([], ["train"]):
            done = subprocess.run(
                [sys.executable, "-m", module, *before, "--version"],
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout.strip() == " ".join(words)


def test_every_command_but_train_can_be_louder_and_quieter(monkeypatch: pytest.MonkeyPatch) -> None:
    levels: list[int] = []
    monkeypatch.setattr(command_line, "set_verbosity", levels.append)
    cell = str(Path(__file__).parent / "goldens" / "old_study" / "copy_input-c4d1f18a")
    for word in ("-v", "--quiet"):
        assert CliRunner().invoke(group, ["show", cell, "--limit", "1", word]).exit_code == 0
    assert levels == [logging.INFO, logging.ERROR]
    names = [name for name in group.list_commands(None) if name != "train"]  # type: ignore[arg-type]
    help_of = {name: CliRunner().invoke(group, [name, "--help"]).output for name in names}
    assert [name for name, text in help_of.items() if "--quiet" not in text] == []
