from __future__ import annotations

import os
import socket
import subprocess

import pytest

from instruct_ablate.cell.state import environment as module
from instruct_ablate.cell.state.environment import commit, environment, peak_memory, versions


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
