from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from instruct_ablate.grid.launch import snapshot as module
from instruct_ablate.grid.launch.snapshot import own_files, search_path, snapshot


def code_of(environment: dict[str, str]) -> list[str]:
    program = (
        "import instruct_ablate.configuration.folders as s, instruct_ablate.cell.state.environment as e;"
        "print(s.__file__, s.config_directory(), e.commit())"
    )
    words = [sys.executable, "-c", program]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout.split()


def test_a_job_runs_the_code_that_was_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "commit", lambda: "abc+changes")
    code = snapshot(tmp_path)
    file, conf, commit = code_of({**os.environ, "PYTHONPATH": str(search_path(code))})
    assert Path(file).is_relative_to(code)
    assert Path(conf).is_relative_to(code)
    assert (Path(conf) / "config.yaml").is_file()
    assert commit == "abc+changes"


def test_it_is_made_once_for_each_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "src" / "instruct_ablate"
    package.mkdir(parents=True)
    (package / "a.py").write_text("1")
    monkeypatch.setattr(module, "PACKAGE", package)
    first = snapshot(tmp_path / "study")
    assert snapshot(tmp_path / "study") == first
    (package / "a.py").write_text("2")
    second = snapshot(tmp_path / "study")
    assert second != first
    assert (first / "src" / "instruct_ablate" / "a.py").read_text() == "1"
    assert (second / "src" / "instruct_ablate" / "a.py").read_text() == "2"


def test_the_users_own_files_are_copied_too(tmp_path: Path) -> None:
    file = tmp_path / "my_variants.py"
    file.write_text("one")
    (copy,) = own_files(tmp_path / "study", [str(file)])
    file.write_text("two")
    assert Path(copy).read_text() == "one"
    assert Path(copy).name == "my_variants.py"
    assert own_files(tmp_path / "study", [str(file)]) != [copy]


def test_what_the_users_own_files_import_of_theirs_is_copied_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job whose working directory has other ones by then runs those that were submitted, and knows their hash."""
    monkeypatch.setattr("instruct_ablate.configuration.own_modules._HASHED", {})
    file = tmp_path / "my_copied_variants.py"
    file.write_text("from my_copied_words import WORDS\nfrom my_copied.deep import MORE\n")
    (tmp_path / "my_copied").mkdir()
    for name in ("my_copied_words.py", "my_copied/deep.py"):
        (tmp_path / name).write_text("WORDS = MORE = 'one'\n")
    (copy,) = own_files(tmp_path / "study", [str(file)])
    for name in ("my_copied_words.py", "my_copied/deep.py"):
        (tmp_path / name).write_text("WORDS = MORE = 'two'\n")
    program = (
        "import sys; from instruct_ablate.configuration.extensions import load_extensions;"
        "print(*load_extensions(sys.argv[1:])); m = sys.modules['my_copied_variants']; print(m.WORDS, m.MORE)"
    )
    words = [sys.executable, "-c", program, copy]
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    assert ran[1:] == ["one", "one"]
    assert ran[0][:16] in copy
    assert own_files(tmp_path / "study", [str(file)]) != [copy]
