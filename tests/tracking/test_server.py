"""Whether the W&B server can be logged to is found out once, within two seconds, and said in one line."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tracking import server


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server.look_again()
    yield
    server.look_again()


def test_a_server_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 can't be reached" in server.lacking()
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("W&B: http://127.0.0.1:9 can't be reached (")
    assert said.endswith("). Its runs are kept offline; `wandb sync` uploads them later\n")
    server.lacking()
    assert capsys.readouterr().out == "", "it is said once"


def test_a_server_that_never_answers_takes_two_seconds_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        first, again = server.lacking(), server.lacking()
        assert time.monotonic() - started < 2 * server.PATIENCE
    assert first == again != ""


def test_any_answer_will_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    answering = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)  # 501 to everything
    threading.Thread(target=answering.handle_request, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{answering.server_port}")
    assert server.lacking() == ""
    assert capsys.readouterr().out == ""
    answering.server_close()


def test_without_a_key_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(server.account, "no_key", lambda: "no key was found")
    assert server.lacking() == "no key was found"
    assert capsys.readouterr().out.startswith("W&B: no key was found. Its runs are kept offline")
