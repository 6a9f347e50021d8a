"""As many slow senders as threads: everybody else is served once their time is over."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests

from tests.support.stack import Stack
from webapp.slow_senders import BODY_WITHIN_S, HEAD_WITHIN_S

THREADS = 4
HEAD = b"POST /session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {"WEB_CONCURRENCY": "1", "WEB_THREADS": str(THREADS)}


@contextmanager
def senders(stack: Stack, sent: bytes) -> Iterator[None]:
    """They send so much, and then nothing more."""
    with ExitStack() as open_ones:
        for _ in range(THREADS):
            connection = open_ones.enter_context(socket.create_connection(("127.0.0.1", stack.port)))
            connection.sendall(sent)
        time.sleep(0.5)
        yield


@pytest.mark.parametrize(
    ("sent", "within_s"),
    [(HEAD, HEAD_WITHIN_S), (HEAD + b"Content-Length: 100\r\n\r\nemail=", BODY_WITHIN_S)],
    ids=["head", "body"],
)
def test_they_hold_the_threads_no_longer_than_their_time(stack: Stack, sent: bytes, within_s: float):
    assert requests.get(f"{stack.url}/healthz", timeout=5).status_code == 200
    with senders(stack, sent):
        with pytest.raises(requests.Timeout):  # or this test would show nothing
            requests.get(f"{stack.url}/healthz", timeout=2)
        assert requests.get(f"{stack.url}/healthz", timeout=within_s + 5).status_code == 200


def test_who_got_an_answer_and_doesnt_hang_up_keeps_nobody_waiting(stack: Stack):
    with socket.create_connection(("127.0.0.1", stack.port)) as stays:
        stays.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b"200 OK" in stays.recv(4096)
        for _ in range(3):
            assert requests.get(f"{stack.url}/healthz", timeout=1).status_code == 200
