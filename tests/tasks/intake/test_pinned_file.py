"""A published file in the cache: downloaded once, known by its hash."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.tasks.intake.pinned_file import PinnedFile, pinned_file

BODY = b'{"a": 1}'
HASH = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serve the file, something else, nothing, or a part of what is announced."""

    def do_GET(self) -> None:
        """Answer by the path."""
        body = {"/file": BODY, "/part": BODY[:3], "/other": b"another"}.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"") + 5 * (self.path == "/part")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def published(url: str) -> PinnedFile:
    return PinnedFile("file-1.json", "the file", url, HASH, "a.key")


def test_it_is_downloaded_once(server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = pinned_file(published(f"{server}/file"), tmp_path)
    assert path == tmp_path / "downloads" / "file-1.json"
    assert path.read_bytes() == BODY
    assert "downloading the file from http" in capfd.readouterr().err
    assert pinned_file(published(f"{server}/gone"), tmp_path) == path  # nothing is asked for


def test_a_damaged_one_is_put_aside_and_said(
    server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = pinned_file(published(f"{server}/file"), tmp_path)
    path.write_bytes(BODY[:3])
    with caplog.at_level(logging.WARNING):
        assert pinned_file(published(f"{server}/file"), tmp_path).read_bytes() == BODY
    assert "put aside as file-1.json.damaged-1" in caplog.text
    assert (tmp_path / "downloads" / "file-1.json.damaged-1").read_bytes() == BODY[:3]


@pytest.mark.parametrize(
    ("address", "why"),
    [("/gone", "404"), ("/other", f"not {HASH}"), ("/part", f"(IncompleteRead|not {HASH})")],
)
def test_what_does_not_arrive_whole_leaves_nothing(
    server: str, tmp_path: Path, address: str, why: str
) -> None:
    with pytest.raises(UserError, match=f"could not download the file from http.*{why}.*a.key=FILE"):
        pinned_file(published(f"{server}{address}"), tmp_path)
    assert {one.name for one in (tmp_path / "downloads").iterdir()} <= {"file-1.json.lock"}


def test_without_a_server_it_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"could not download the file from file:.*No such file"):
        pinned_file(published((tmp_path / "none").as_uri()), tmp_path)
