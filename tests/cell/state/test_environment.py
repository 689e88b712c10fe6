from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from instruct_ablate.cell.state import environment as module
from instruct_ablate.cell.state.environment import commit, environment, gpu_memory, peak_memory, versions


def test_it_says_what_a_cell_ran_with() -> None:
    found = environment("cpu", "bf16")
    assert (found.device, found.precision, found.host) == ("cpu", "bf16", socket.gethostname())
    assert found.python.count(".") == 2
    assert dict(found.versions)["torch"]


def test_versions_leave_out_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGES", ("torch", "no-such-package"))
    versions.cache_clear()
    try:
        assert [name for name, _ in versions()] == ["torch"]
    finally:
        versions.cache_clear()


def test_no_git_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    commit.cache_clear()
    try:
        assert commit() is None
    finally:
        commit.cache_clear()


def test_memory_is_in_bytes() -> None:
    assert 10 * 2**20 < peak_memory() < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the package lie in src/ of a folder, as it does in a checkout."""
    place = folder / "src" / "instruct_ablate" / "cell" / "state"
    place.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(place / "environment.py"))
    monkeypatch.setattr(module, "commit", commit.__wrapped__)
    return folder


def git(folder: Path, *words: str) -> str:
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PATH": os.environ["PATH"]}
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, env=own, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_checkouts_commit_and_whether_files_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkout(tmp_path, monkeypatch)
    git(folder, "init", "-q")
    (folder / "file").write_text("1")
    assert module.commit() is None, "nothing was committed yet"
    git(folder, "add", "file")
    git(folder, "commit", "-qm", "one")
    head = git(folder, "rev-parse", "HEAD")
    assert len(head) == 40
    (folder / "new").write_text("a file that git does not know changes nothing")
    assert module.commit() == head
    (folder / "file").write_text("2")
    assert module.commit() == f"{head}+changes"


def test_outside_of_a_checkout_git_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout(tmp_path, monkeypatch)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a folder above may be a checkout"))
    assert module.commit() is None


@pytest.mark.parametrize(("text", "found"), [("abc+changes", "abc+changes"), ("", None)])
def test_a_copy_for_jobs_has_its_commit_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: str | None
) -> None:
    (checkout(tmp_path, monkeypatch) / "commit").write_text(text)
    (tmp_path / ".git").mkdir()
    assert module.commit() == found


def test_git_that_fails_or_hangs_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout(tmp_path, monkeypatch) / ".git").mkdir()
    for fault in (subprocess.CalledProcessError(128, "git"), subprocess.TimeoutExpired("git", 10)):

        def run(*_: object, fault: Exception = fault, **given: object) -> None:
            assert given["timeout"] == 10
            assert given["check"]
            raise fault

        monkeypatch.setattr(subprocess, "run", run)
        assert module.commit() is None


@pytest.mark.parametrize(("platform", "factor"), [("linux", 1024), ("darwin", 1)])
def test_the_system_counts_in_kibibytes_and_macos_in_bytes(
    monkeypatch: pytest.MonkeyPatch, platform: str, factor: int
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=3000))
    assert peak_memory() == 3000 * factor


def test_the_command_is_written_as_a_shell_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "a=b c"])
    assert environment("cpu", "bf16").command == "train.py 'a=b c'"


def test_the_packages_that_decide_over_results() -> None:
    names = [name for name, _ in versions()]
    assert {"torch", "transformers", "pytorch-lightning", "numpy", "rouge-score", "peft"} <= set(names)


def test_memory_of_a_gpu_is_that_of_the_fullest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu_memory() == 0, "there is none here"
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: [300, 700][device])
    assert gpu_memory() == 700
    monkeypatch.setitem(sys.modules, "torch", None)
    assert gpu_memory() == 0, "cells without a model do not import it"
