"""A stand-in for a W&B server, in a thread: wandb 0.31 logs to it, resumes runs, syncs folders and uses artifacts.

    with WandbServer() as server:
        environment = server.environment     for wandb in another process, or monkeypatch.setenv for this one
        ...
        server.known.runs["abc"].history     what arrived

A query that it does not know is an error of HTTP, and stays in `known.unknown`.
"""

import gzip
import json
import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import unquote

from wandb_answers import answer
from wandb_known import Known, Run

OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")


class WandbServer:
    """known: what arrived. environment: variables with which wandb talks to this server."""

    def __init__(self) -> None:
        self.known = Known()
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"server_of": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.known.url = f"http://127.0.0.1:{self._http.server_port}"
        self.environment = {"WANDB_BASE_URL": self.known.url, "WANDB_API_KEY": "k" * 40, "WANDB_MODE": "online",
                            "WANDB_ERROR_REPORTING": "false"}  # fmt: skip

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_of: WandbServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        with self.server_of.lock:
            if self.path == "/graphql":
                self._graphql(json.loads(body))
            elif self.path.endswith("/file_stream"):
                self._stream(json.loads(body))
            else:
                self._unknown(f"POST {self.path}")

    def do_PUT(self) -> None:
        body = self._body()
        with self.server_of.lock:
            self.server_of.known.files[unquote(self.path).removeprefix("/upload/")] = body
            self._send({})

    def do_GET(self) -> None:
        if self.path == "/":  # whether anybody is there
            self.send_error(404)
            return
        with self.server_of.lock:
            self._unknown(f"GET {self.path}")

    def handle(self) -> None:
        with suppress(ConnectionError):  # wandb's process ends without a word
            super().handle()

    def log_message(self, *_: object) -> None:
        """Says nothing on the terminal."""

    def _graphql(self, asked: dict[str, object]) -> None:
        name = OPERATION.search(asked["query"])[1]
        try:
            found = answer(self.server_of.known, name, asked.get("variables") or {})
        except LookupError as error:
            self._unknown(f"{name}: {error!r}: {asked}")
        else:
            self._send({"data": found})

    def _stream(self, given: dict[str, object]) -> None:
        """Stores lines of a run's files: each comes with the number of its first line."""
        *_, identity, _ = unquote(self.path).split("/")
        run: Run = self.server_of.known.runs[identity]
        for file, part in (given.get("files") or {}).items():
            known = run.lines.setdefault(file, {})
            known.update(enumerate(part["content"], part["offset"]))
        if given.get("complete"):
            run.exit_code = given.get("exitcode")
        self._send({"exitcode": None, "limits": {}})

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _unknown(self, what: str) -> None:
        self.server_of.known.unknown.append(what)
        self._send({"errors": [{"message": f"unknown: {what}"}]}, 400)

    def _send(self, answer: dict[str, object], status: int = 200) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
