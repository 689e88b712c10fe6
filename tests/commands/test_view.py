"""`view`: prints its address, listens until it is ended, and says where it cannot."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.commands.view import command
from instruct_ablate.errors import UserError
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.view import served_page
from instruct_ablate.report.view.prediction_index import PredictionIndex
from instruct_ablate.report.view.server import Server
from tests.report.studies import small_study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose page is not drawn: that is tested where it is made."""
    folder = small_study(tmp_path / "s")

    def serve(of: Path, port: int = 0) -> Server:
        return Server("page", PredictionIndex(read_study(of).folder, (), ()), port)

    monkeypatch.setattr(served_page, "serve_study", serve)
    return folder


def test_it_prints_its_address_and_ends_on_an_interrupt(study: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(self: Server) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupted)
    done = CliRunner().invoke(command, [str(study)])
    assert done.exit_code == 0, done.output
    first, _, last = done.output.splitlines()
    assert first.startswith("s: http://127.0.0.1:")
    assert len(first.rstrip("/").rpartition("/")[2]) >= 32
    assert last == "ended"


def test_a_port_that_is_taken_is_said(study: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = CliRunner().invoke(command, [str(study), "--port", str(taken.getsockname()[1])])
    assert isinstance(done.exception, UserError)
    assert "give another --port" in str(done.exception)


def test_help_has_an_example():
    done = CliRunner().invoke(command, ["--help"])
    assert "instruct-ablate view multirun/ablation --port 8765" in done.output
