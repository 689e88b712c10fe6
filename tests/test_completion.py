"""Completion in the shell: what click's own machinery offers, asked as bash and as other shells ask it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete, ShellComplete

from instruct_ablate.command_line import group
from instruct_ablate.completion import choices
from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.entry import main


def offered(words: list[str], incomplete: str, shell: type[ShellComplete] = BashComplete) -> list[str]:
    asked = shell(group, {}, "instruct-ablate", "_INSTRUCT_ABLATE_COMPLETE")
    return [one.value for one in asked.get_completions(words, incomplete)]


def test_commands_and_options() -> None:
    assert offered([], "sho") == ["show"]
    assert "--json" in offered(["status"], "--")


@pytest.mark.parametrize("command", ["train", "plan", "audit", "prepare"])
def test_keys_and_choices_of_overrides(command: str) -> None:
    assert offered([command], "trainer.learn") == ["trainer.learning_rate="]
    assert offered([command], "model=tiny_ll") == ["model=tiny_llama", "model=tiny_llama3"]
    assert offered([command, "model", "="], "tiny_ll") == ["tiny_llama", "tiny_llama3"]  # as bash divides it
    assert "delusive" in offered([command, "instruction"], "=")
    assert offered([command], "seed=") == []


def test_an_equals_sign_alone_stands_for_nothing() -> None:
    assert offered(["train", "="], "trainer.learn") == ["trainer.learning_rate="]


def test_hydra_completes_the_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "train.py model=tiny_ll"
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    for word, said in (("install=bash", "complete -o"), ("query=bash", "model=tiny_llama model=tiny_llama3")):
        monkeypatch.setattr(sys, "argv", ["train.py", "-sc", word])
        main()
        assert said in capsys.readouterr().out


def test_choices_of_ones_own_and_launchers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, name in (
        ("conf/tasks", "films"),
        ("elsewhere/tasks", "books"),
        ("conf/hydra/launcher", "ours"),
    ):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / f"{name}.yaml").write_text("")
    assert offered(["plan"], "tasks=film") == ["tasks=films"]
    assert offered(["train"], "hydra/") == ["hydra/launcher="]
    launchers = {one.removeprefix("hydra/launcher=") for one in offered(["train"], "hydra/launcher=")}
    assert {"basic", "ours"} < launchers


def test_the_help_names_every_launcher() -> None:
    told = (config_directory() / "hydra" / "help" / "ablation.yaml").read_text()
    assert [name for name in choices("hydra/launcher") if name not in told] == []
