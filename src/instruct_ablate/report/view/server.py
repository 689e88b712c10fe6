"""The server of a study's page: this machine alone reaches it, and only with the token of its address.

It answers two addresses, the page and its predictions, and names no file by what a request says.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socketserver
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.report.view.prediction_index import PredictionIndex, Selection

HERE = "127.0.0.1"
SLOW = 30.0  # seconds that a request may take to arrive
MOST_FIELDS = 12
# What models wrote is shown on the page: should any of it ever run there, it can fetch from this server alone.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the token stands in the address
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Server(ThreadingHTTPServer):
    """Serves one page and its predictions under an address that cannot be guessed; port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, page: str, index: PredictionIndex, port: int = 0) -> None:
        self.page, self.index = page.encode(errors="replace"), index
        self.token = secrets.token_urlsafe(24)
        super().__init__((HERE, port), Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who this machine is."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HERE, int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave a reader alone who went away in the middle of an answer; any other fault is said."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """The address to open."""
        return f"http://{HERE}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser that means this machine calls it; a page elsewhere that rebinds its name says that name."""
        return f"{HERE}:{self.server_port}", f"localhost:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server
    server_version, sys_version = "instruct-ablate", ""
    timeout = SLOW

    def do_GET(self) -> None:
        """Send the page or predictions to whom knows the token and means this machine."""
        # One alone, and ours: a page whose name is made to mean this machine (DNS rebinding) says its own name.
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts]:
            self._send(HTTPStatus.FORBIDDEN, b"this host name is not served\n")
            return
        path, _, query = self.path.partition("?")
        token, _, name = path.removeprefix("/").partition("/")
        # How long it takes tells nothing of how much of a token was right.
        if not hmac.compare_digest(token.encode(errors="replace"), self.server.token.encode()):
            self._send(HTTPStatus.FORBIDDEN, b"open the address that `instruct-ablate view` printed\n")
        elif name == "":
            self._send(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
        elif name == "predictions":
            self._predictions(query)
        else:
            self._send(HTTPStatus.NOT_FOUND, b"there is no such address\n")

    def _predictions(self, query: str) -> None:
        try:
            selection, place, at = _asked(query)
            found: dict[str, Any] = self.server.index.look(selection, place, at)
            status = HTTPStatus.OK
        except (UserError, ValueError) as fault:
            found, status = {"error": in_a_line(fault)}, HTTPStatus.BAD_REQUEST
        self._send(status, json.dumps(found).encode(), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def end_headers(self) -> None:
        """Add to every answer, errors too, what a browser is not to do with it."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: a log of addresses would hold the token."""


def _asked(query: str) -> tuple[Selection, int, str]:
    fields = {name: values[-1] for name, values in parse_qs(query, max_num_fields=MOST_FIELDS).items()}
    right, wrong = (_number(fields.get(name, "")) for name in ("right", "wrong"))
    place = _number(fields.get("place", "")) or 0
    selection = Selection(fields.get("task", ""), right, wrong, fields.get("search", ""))
    return selection, place, fields.get("at", "")


def _number(text: str) -> int | None:
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise UserError("a number of at most nine digits is expected")
    return int(text) if text else None
