"""A stand-in for W&B's server, as far as `wandb sync` and online runs need it: it notes what it is sent."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RUN = {
    "id": "storage-id",
    "description": None,
    "config": "{}",
    "sweepName": None,
    "historyLineCount": 0,
    "project": {"id": "p", "name": "instruct-ablate", "entity": {"id": "e", "name": "someone"}},
}


class WandbServer:
    """Listens on a free port of this machine until `stop`; `refusals` requests are first answered with 503."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.runs: dict[str, dict[str, Any]] = {}  # what was last said of each run, by its id
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.system: dict[str, list[dict[str, Any]]] = {}
        self.exit_codes: dict[str, int] = {}
        self.tables: list[str] = []
        self.views: list[dict[str, Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer({})

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    raw = gzip.decompress(raw)
                if server.refusals > 0:
                    server.refusals -= 1
                    self._answer({"error": "busy"}, 503)
                    return
                known = self.path.endswith(("/graphql", "/file_stream"))
                self._answer(server.take(self.path, json.loads(raw)) if known else {})

            def _answer(self, value: Any, status: int = 200) -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Be gone: connections are refused from now on."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What makes wandb talk to this server."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": "a" * 40}

    def take(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Note a request and answer it."""
        if path.endswith("/graphql"):
            return {"data": self._graphql(body["query"], body.get("variables") or {})}
        if path.endswith("/file_stream"):
            self._stream(path.split("/")[-2], body)
        return {"exitcode": None, "limits": {}}

    def _graphql(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        if "mutation UpsertBucket" in query:
            told = {key: value for key, value in given.items() if value is not None}
            self.runs.setdefault(given["name"], {}).update(told)
            bucket = {**RUN, "name": given["name"], "displayName": given.get("displayName")}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if "query RunResumeStatus" in query:
            return {"model": self._resumed(given["name"])}
        if "CreateArtifact" in query:
            self.tables.append(given["input"]["artifactCollectionName"])
            there = {"id": "a", "state": "COMMITTED", "artifactSequence": {"latestArtifact": None}}
            return {"createArtifact": {"artifact": there}}
        if "upsertView" in query:
            self.views.append(given)
            return {
                "upsertView": {"view": {"id": "view-id", "name": given.get("name"), "type": "project-view"}}
            }
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload"} for name in given.get("files", ())]
            return {"createRunFiles": {"runID": "storage-id", "uploadHeaders": [], "files": files}}
        viewer = {
            "id": "v",
            "entity": "someone",
            "username": "someone",
            "flags": "{}",
            "teams": {"edges": []},
        }
        server = {"features": [], "cliVersionInfo": {"max_cli_version": "9"}, "latestLocalVersionInfo": None}
        return {"viewer": viewer, "serverInfo": server, "model": None, "project": None}

    def _resumed(self, run: str) -> dict[str, Any]:
        """Say what there is of a run: one that goes on begins with its summary, behind its history."""
        if run not in self.runs:
            return {
                "id": "m",
                "name": "instruct-ablate",
                "entity": {"id": "e", "name": "someone"},
                "bucket": None,
            }
        told, lines, events = self.runs[run], self.history.get(run, []), self.system.get(run, [])
        bucket = {
            "id": "storage-id",
            "name": run,
            "summaryMetrics": json.dumps(told.get("summary", {})),
            "displayName": told.get("displayName"),
            "logLineCount": 0,
            "historyLineCount": len(lines),
            "eventsLineCount": len(events),
            "historyTail": json.dumps([json.dumps(line) for line in lines[-1:]]),
            "eventsTail": json.dumps([json.dumps(line) for line in events[-1:]]),
            "config": told.get("config", "{}"),
            "tags": told.get("tags", []),
            "notes": None,
            "wandbConfig": json.dumps({"t": {}}),
        }
        return {
            "id": "m",
            "name": "instruct-ablate",
            "entity": {"id": "e", "name": "someone"},
            "bucket": bucket,
        }

    def _stream(self, run: str, body: dict[str, Any]) -> None:
        files = body.get("files") or {}
        for name, every in (("wandb-history.jsonl", self.history), ("wandb-events.jsonl", self.system)):
            kept, given = every.setdefault(run, []), files.get(name, {})
            at = given.get("offset", len(kept))
            kept[at : at + len(given.get("content", []))] = map(json.loads, given.get("content", []))
        for line in files.get("wandb-summary.json", {}).get("content", []):
            self.runs.setdefault(run, {})["summary"] = json.loads(line)
        if body.get("complete"):
            self.exit_codes[run] = body["exitcode"]
