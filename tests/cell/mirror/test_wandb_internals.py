"""What the mirror knows of the inside of wandb is so; a failure names what moved."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from instruct_ablate.cell.mirror.wandb_internals import (
    SERVICE,
    SERVICE_PROCESS,
    THREADS,
    leave_service,
    list_packages_once,
    teardown,
)


def test_the_service_is_found_through_the_environment() -> None:
    from wandb import env

    assert env.SERVICE == SERVICE, "wandb finds its service by another variable"


def test_the_sender_of_last_requests_is_known_by_its_name() -> None:
    from wandb.sdk.lib.service.service_finalizer import ServiceFinalizer

    sender = ServiceFinalizer(None, None)  # type: ignore[arg-type]
    try:
        assert sender._thread.name.startswith(THREADS)
    finally:
        sender.close()


def test_a_broken_service_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("no service")

    monkeypatch.setenv(SERVICE, "3-1-unix-gone")
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(teardown=broken))
    leave_service()
    assert SERVICE not in os.environ


def test_what_was_never_used_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    teardown()
    assert "wandb" not in sys.modules
    ended: list[bool] = []
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(teardown=lambda: ended.append(True)))
    teardown()
    assert ended == [True]


def test_one_service_is_for_several_cells_until_one_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from instruct_ablate.cell.mirror.wandb_run import open_run

    monkeypatch.delenv(SERVICE, raising=False)
    before = set(threading.enumerate())
    seen = []
    for name in ("first", "second", "third"):
        run = open_run({"dir": tmp_path / name, "id": name, "project": "p"}, "offline", 10.0)
        run.log({"loss": 1.0})
        run.summary["state"] = f"done {name}"
        run.finish(0)
        seen.append(SERVICE_PROCESS.process())
        if name != "third":
            SERVICE_PROCESS.is_good()
        SERVICE_PROCESS.end_unless_good()
        new = {thread.name for thread in set(threading.enumerate()) - before}
        assert all(one.startswith(SERVICE_PROCESS.threads()) for one in new), (
            f"wandb has other threads: {new}"
        )
    assert seen[0] is not None, "wandb keeps its process elsewhere"
    assert seen == [seen[0]] * 3
    assert SERVICE_PROCESS.process() is None
    assert not SERVICE_PROCESS.threads()[2:]
    for name in ("first", "second", "third"):
        (file,) = (tmp_path / name).rglob("*.wandb")
        assert f"done {name}".encode() in file.read_bytes()


def test_what_is_installed_is_read_once_and_told_of_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from wandb import util

    def reading() -> Iterator[str]:
        read.append(len(read))
        yield f"torch=={len(read)}"

    read: list[int] = []
    monkeypatch.setattr(util, "working_set", reading)
    monkeypatch.setattr(sys, "path", ["here"])
    for _ in range(2):
        list_packages_once()
        assert list(util.working_set()) == list(util.working_set()) == ["torch==1"]
    monkeypatch.setattr(sys, "path", ["elsewhere"])
    assert list(util.working_set()) == ["torch==2"]
    assert len(read) == 2


def test_a_run_asks_for_what_is_installed_where_it_is_read_once() -> None:
    import inspect

    from wandb.sdk.wandb_run import Run

    assert "from wandb.util import working_set" in inspect.getsource(Run._on_start), (
        "wandb lists packages elsewhere"
    )
