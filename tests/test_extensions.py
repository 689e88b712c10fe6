from __future__ import annotations

import sys
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.extensions import DECORATORS, admit, load_extensions, load_function
from instruct_ablate.tasks.collection import find_reader  # noqa: F401 - the decorators
from tests.conftest import make_task

OWN = """
from pathlib import Path

from instruct_ablate.prompt.template import template

Path("ran").touch()


@template
def mine(instruction, instance, room):
    return ""


def other(instruction, instance, room):
    return ""
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of the user's in the working directory."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return name


@pytest.mark.parametrize("key", DECORATORS)
@pytest.mark.parametrize("path", ["os.execvp", "builtins.eval", "subprocess.run"])
def test_any_function_is_none_of_ours(key: str, path: str) -> None:
    with pytest.raises(UserError, match="decorate the function with @"):
        load_function(path, key)


def test_a_function_is_used_for_what_it_was_decorated_for(own: str) -> None:
    assert load_function(f"{own}.mine", "prompt.template").__name__ == "mine"
    with pytest.raises(UserError, match="@template"):
        load_function(f"{own}.other", "prompt.template")
    with pytest.raises(UserError, match="@reader"):
        load_function(f"{own}.mine", "tasks.reader")


@pytest.mark.parametrize("path", [".f", "..f", "\0.f", "/x.f", "a b.f"])
def test_odd_names_are_refused(path: str) -> None:
    with pytest.raises(UserError, match=r"cannot import|not meant"):
        load_function(path, "prompt.template")


def test_what_a_study_names_is_refused_with_the_line_to_type(own: str) -> None:
    with pytest.raises(UserError, match=f"`rescore S --extensions {own}.py`.*`rescore S --trust`"):
        admit([f"{own}.mine"], [], False, "rescore S")
    assert not Path("ran").exists()
    load_extensions([f"{own}.py"])
    admit([f"{own}.mine"], ["/elsewhere.py"], False, "rescore S")
    assert Path("ran").exists()


def test_a_trusted_study_s_files_are_loaded(own: str) -> None:
    admit([f"{own}.mine"], [f"{own}.py"], True, "rescore S")
    assert Path("ran").exists()


def test_a_file_that_fails_is_run_again(tmp_path: Path) -> None:
    file = tmp_path / "failing_extension.py"
    file.write_text("raise OSError('not yet')")
    with pytest.raises(OSError, match="not yet"):
        load_extensions([str(file)])
    file.write_text("x = 1")
    load_extensions([str(file)])
    assert sys.modules["failing_extension"].x == 1
    assert make_task()
