"""The server: whom it lets in, what it says of itself, and that no request names a file."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from instruct_ablate.grid.study import read_study
from instruct_ablate.report.page.sample import every_block
from instruct_ablate.report.view.prediction_index import PredictionIndex
from instruct_ablate.report.view.server import Server
from tests.report.studies import small_study


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    study = read_study(small_study(tmp_path / "s"))
    index = PredictionIndex(study.folder, every_block(study.cells), ("exact_match",))
    with Server("<!doctype html><title>the page</title>", index) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def get(
    server: Server, path: str, host: str | None = None, method: str = "GET"
) -> tuple[HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=200)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host if host is not None else f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_the_printed_address_shows_the_page_and_says_what_it_may_do(server: Server):
    answer, content = get(server, f"/{server.token}/")
    assert (answer.status, content) == (200, b"<!doctype html><title>the page</title>")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert {"connect-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer", "the token stands in the address"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] is None
    assert server.url == f"http://127.0.0.1:{server.server_port}/{server.token}/"


def test_it_listens_at_this_machine_alone(server: Server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_tokens_are_long_and_never_the_same(server: Server):
    with Server("", server.index) as other:
        assert other.token != server.token
    assert len(server.token) >= 32


@pytest.mark.parametrize(
    "path", ["/", "", "/predictions", "//", "/?token", "/wrong/", "/wrong/predictions", "/%00/"]
)
def test_without_the_token_there_is_nothing(server: Server, path: str):
    answer, content = get(server, path)
    assert answer.status == 403
    assert b"the page" not in content
    assert server.token.encode() not in content


def test_a_part_of_the_token_is_none(server: Server):
    for token in (server.token[:-1], f"{server.token}x", server.token.swapcase(), "%C3%A9"):
        assert get(server, f"/{token}/")[0].status == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "0.0.0.0:{port}"]
)
def test_a_name_that_was_bound_to_this_machine_is_not_served(server: Server, host: str):
    answer, content = get(server, f"/{server.token}/", host.format(port=server.server_port))
    assert answer.status == 403
    assert b"the page" not in content


def test_two_host_names_are_none(server: Server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=200)
    connection.putrequest("GET", f"/{server.token}/")
    connection.putheader("Host", "evil.example")
    connection.endheaders()
    assert connection.getresponse().status == 403
    connection.close()


def test_this_machine_may_be_called_localhost(server: Server):
    assert get(server, f"/{server.token}/", f"localhost:{server.server_port}")[0].status == 200


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "study.json", "predictions/../study.json"],
)
def test_no_request_names_a_file(server: Server, path: str):
    answer, content = get(server, f"/{server.token}/{path}")
    assert (answer.status, content) == (404, b"there is no such address\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "X"])
def test_nothing_can_be_done_but_look(server: Server, method: str):
    answer, _ = get(server, f"/{server.token}/", method=method)
    assert answer.status == 501
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_predictions_are_chosen_by_the_address(server: Server):
    answer, content = get(
        server, f"/{server.token}/predictions?task=task_c&right=1&wrong=&search=&place=1&at="
    )
    assert answer.headers["Content-Type"] == "application/json"
    one = json.loads(content)
    assert (answer.status, one["count"], one["place"], one["id"]) == (200, 2, 1, "i3")
    assert len(one["answers"]) == 9
    _, content = get(server, f"/{server.token}/predictions?task=task_c&at=i2")
    assert json.loads(content)["place"] == 2


QUERIES = (
    "right=x",
    "right=-1",
    "wrong=99",
    "place=1e3",
    f"place={'9' * 50}",
    "right=%D9%A1",
    "a&b&c&d&e&f&g&h&i&j&k&l&m",
)


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_no_choice_is_refused_in_a_line(server: Server, query: str):
    query = "&".join(f"{name}=1" for name in query.split("&")) if "=" not in query else query
    answer, content = get(server, f"/{server.token}/predictions?{query}")
    assert answer.status == 400
    assert set(json.loads(content)) == {"error"}


def test_a_request_that_is_none_ends_no_server(server: Server, capsys: pytest.CaptureFixture[str]):
    for sent in (b"\r\n\r\n", b"GET\r\n\r\n", b"GET //[ HTTP/1.1\r\n\r\n", b"\x00\xff\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=200) as raw:
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass
    assert get(server, f"/{server.token}/")[0].status == 200
    said = capsys.readouterr()
    assert said.out + said.err == "", "a log would hold the token"
