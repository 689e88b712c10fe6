"""Stored commands are words for our own entry: what could be anything else is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from instruct_ablate.archive.retrain import command_words, run_again
from instruct_ablate.errors import UserError


def test_a_command_is_run_below_the_new_folder() -> None:
    words = command_words(
        "/old/train.py -m output=/old study=s cache=/c seed=0,1 'hypotheses=[a equals b on rougeL within 2.5]' "
        "trainer.learning_rate=1e-4",
        Path("new"),
        "s",
    )
    assert words == ["-m", "seed=0,1", "hypotheses=[a equals b on rougeL within 2.5]", "trainer.learning_rate=1e-4",
                     "output=new", "study=s"]  # fmt: skip


@pytest.mark.parametrize(
    "word", ["hydra.searchpath=[x]", "hydra/launcher=ray", "+hydra.x=1", "--config-dir=/tmp", "-c", "'a b'", "~seed",
             "=x", "'a;b=1'"]
)  # fmt: skip
def test_words_that_are_no_plain_override(word: str) -> None:
    with pytest.raises(UserError, match="run that command by hand"):
        command_words(f"train.py {word}", Path("new"), "s")


@pytest.mark.parametrize(
    "word",
    ["extensions=[x]", "evaluation.metrics=[os.system]", "tasks={reader: my.f}", "prompt.template=a.b",
     "+extensions=[x]", "++extensions=[my-1.py]", "x=[my-1.py]", "evaluation.metrics=[${reference}.system]",
     "model.trust_remote_code=true", "++model.trust_remote_code=true", "model={path: m, trust_remote_code: true}"],
)  # fmt: skip
def test_code_needs_trust(word: str) -> None:
    with pytest.raises(UserError, match="--trust"):
        command_words(f"train.py '{word}'", Path("new"), "s")
    assert word in command_words(f"train.py '{word}'", Path("new"), "s", trust=True)


def test_nothing_starts_before_all_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", lambda *words, **more: pytest.fail("it ran"))
    with pytest.raises(UserError, match="by hand"):
        run_again(["train.py seed=0", "train.py -rf"], tmp_path, "s")
    with pytest.raises(UserError, match="cannot be read"):
        run_again(["train.py 'seed=0"], tmp_path, "s")
    with pytest.raises(UserError, match="no stored commands"):
        run_again([], tmp_path, "s")


def test_all_commands_are_run_in_their_order_and_the_worst_end_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []
    ends = iter((2, 1, 0))

    def run(words: list[str], check: bool) -> CompletedProcess[str]:
        assert not check, "the next command is run though this one failed"
        ran.append(words)
        return CompletedProcess(words, next(ends))

    monkeypatch.setattr("subprocess.run", run)
    commands = ["train.py --multirun seed=0", "train.py -m 'study=mine' seed=1", "instruct-ablate seed=2"]
    assert run_again(commands, tmp_path, "s") == 2
    assert [words[:2] for words in ran] == [[sys.executable, "-c"]] * 3
    assert [words[3:] for words in ran] == [
        [*(["-m"] if seed < 2 else []), f"seed={seed}", f"output={tmp_path}", "study=s"] for seed in range(3)
    ]
    assert "entry import main" in ran[0][2]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"train.py -m seed=0 output={tmp_path} study=s"


def test_one_cell_is_run_as_one_cell_however_its_command_was_stored() -> None:
    for command in ("train.py seed=1 -v", "train.py --multirun seed=1 hydra.sweeper.single=true"):
        assert command_words(command, Path("n"), "s") == ["seed=1", "output=n", "study=s"]
    with pytest.raises(UserError, match="by hand"):
        command_words("train.py -m hydra.sweeper.single=false", Path("n"), "s")


def test_without_a_failure_the_status_is_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", lambda words, check: CompletedProcess(words, 0))
    assert run_again(["train.py seed=0"], tmp_path, "s") == 0


@pytest.mark.parametrize("ends", [(-9, 0), (0, -9), (1, -9)])
def test_a_run_that_a_signal_ended_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: tuple[int, int]
) -> None:
    """Before: a training that was killed for memory left the status 0."""
    left = iter(ends)
    monkeypatch.setattr("subprocess.run", lambda words, check: CompletedProcess(words, next(left)))
    assert run_again(["train.py seed=0", "train.py seed=1"], tmp_path, "s") == 128 + 9


def test_code_is_run_where_the_archive_is_trusted_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def run(words: list[str], check: bool) -> CompletedProcess[str]:
        ran.append(words[3:])
        return CompletedProcess(words, 0)

    monkeypatch.setattr("subprocess.run", run)
    with pytest.raises(UserError, match="--trust"):
        run_again(["train.py extensions=[mine.py]"], tmp_path, "s")
    assert ran == []
    assert run_again(["train.py extensions=[mine.py]"], tmp_path, "s", trust=True) == 0
    assert ran == [["extensions=[mine.py]", f"output={tmp_path}", "study=s"]]


@pytest.mark.parametrize("word", ["-v", "--verbose", "-q", "--quiet"])
def test_how_much_was_said_is_no_part_of_a_command(word: str) -> None:
    assert command_words(f"train.py {word} seed=1", Path("n"), "s") == ["seed=1", "output=n", "study=s"]


def test_own_folders_are_replaced_and_additions_go_through() -> None:
    given = "train.py +a.b-c@d/e=1 ++x=2 output_dir=3 cache=/x ++cache=/y +study=t output="
    words = command_words(given, Path("n"), "s")
    assert words == ["+a.b-c@d/e=1", "++x=2", "output_dir=3", "output=n", "study=s"]
    with pytest.raises(UserError, match="by hand"):
        command_words("train.py output", Path("n"), "s")


@pytest.mark.parametrize("word", ["+++a=1", "~hydra=1", "+~hydra/x=1", "-x=1", "a b=1"])
def test_other_keys_are_no_override(word: str) -> None:
    with pytest.raises(UserError, match="by hand"):
        command_words(f"train.py '{word}'", Path("new"), "s", trust=True)


def test_numbers_are_no_code() -> None:
    assert command_words("train.py lr=1.5,2.5 x=a.2", Path("n"), "s")[:2] == ["lr=1.5,2.5", "x=a.2"]
