"""Use from Python: the package's own names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import instruct_ablate as ia
from tests.report.studies import small_study


def test_importing_the_package_loads_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import instruct_ablate;"
        "print([m for m in ('torch', 'pandas', 'hydra', 'numpy', 'instruct_ablate.report') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="load_studdy"):
        ia.load_studdy  # type: ignore[attr-defined] # noqa: B018


def test_a_study_is_loaded_from_text_or_path(tmp_path: Path) -> None:
    folder = small_study(tmp_path / "s")
    assert len(ia.load_study(str(folder)).cells) == len(ia.load_study(folder).cells) > 0


def test_compose_gives_the_configuration_of_train_py() -> None:
    assert ia.compose("instruction=simplified", "seed=3").seed == 3


def test_run_says_the_users_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from instruct_ablate.errors import UserError

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="one call runs one study"):
        ia.run("study=a,b")
    with pytest.raises(UserError, match="did you mean 'simplified'"):
        ia.run("instruction=simplifid,original")


def test_run_is_train_and_its_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two baselines on a few instances: no model is trained."""
    monkeypatch.chdir(tmp_path)
    words = ("tasks.test_tasks=2", "tasks.test_instances=3", "data_budget=0", "logger=none", "study=own")
    study = ia.run("model=majority,uniform_guess", *words)
    assert sorted(study.cells["state"]) == ["done", "done"]
    assert study.folder == Path("multirun/own")


class Ran:
    """In a process's place: ends so and says so, and notes its command."""

    def __init__(self, status: int, said: str = "") -> None:
        self.status, self.said, self.commands = status, said, list[list[str]]()

    def __call__(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        return subprocess.CompletedProcess(command, self.status, stderr=self.said)


def ran(monkeypatch: pytest.MonkeyPatch, status: int, said: str = "") -> tuple[Ran, list[Path]]:
    process, loaded = Ran(status, said), list[Path]()
    monkeypatch.setattr("instruct_ablate.python_api.subprocess.run", process)
    monkeypatch.setattr("instruct_ablate.python_api.load_study", loaded.append)
    return process, loaded


@pytest.mark.parametrize(("words", "many"), [(("seed=1",), []), (("seed=1,2", "study=mine"), ["-m"])])
def test_a_call_is_one_command(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], many: list[str]
) -> None:
    process, loaded = ran(monkeypatch, 0)
    ia.run(*words)
    assert process.commands == [[sys.executable, "-m", "instruct_ablate", "train", *many, *words]]
    assert loaded == [Path("multirun") / ("mine" if many else "ablation")]


def test_how_a_command_ends_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from instruct_ablate.errors import UserError

    _, loaded = ran(monkeypatch, 1, "1 of 2 cells failed\n")
    ia.run("seed=1")
    assert len(loaded) == 1, "some cells are not done: the study says which"
    assert capsys.readouterr().err == "1 of 2 cells failed\n"
    ran(monkeypatch, 2, "error: no such thing\n")
    with pytest.raises(UserError, match=r"^no such thing$"):
        ia.run("seed=1")
    ran(monkeypatch, 3, "killed\n")
    with pytest.raises(RuntimeError, match="exit status 3: killed"):
        ia.run("seed=1")


@pytest.mark.parametrize("word", ["study=a,b", "output=a,b"])
def test_a_study_has_one_name_and_one_place(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    from instruct_ablate.errors import UserError

    process, _ = ran(monkeypatch, 0)
    with pytest.raises(UserError, match="study and output take one value here"):
        ia.run(word)
    assert process.commands == []
