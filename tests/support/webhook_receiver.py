"""Somebody's program that webhooks are sent to: it notes what came, and answers as it is told to.

with WebhookReceiver(lambda received: 200) as receiver:
    receiver.url
    receiver.received        # all that came, whatever it was answered
    receiver.accepted        # ids of events in the order in which they were first answered 2xx
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def id(self) -> str:
        return str(self.event["id"])

    @property
    def subject(self) -> str:
        return self.id.rsplit("_", 1)[0]

    @property
    def version(self) -> int:
        return int(self.id.rsplit("_", 1)[1])


# A status; None to say nothing and keep the connection.
Answer = Callable[[Received], int | None]


class WebhookReceiver:
    def __init__(self, answer: Answer = lambda _received: 200) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.accepted: list[str] = []
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server = _Server((LOOPBACK, 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_port}/hooks?token=secret"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, received: Received) -> int | None:
        """The status to answer with. What is accepted is noted before anybody can know."""
        with self._lock:
            self.received.append(received)
            status = self.answer(received)
            if status is not None and 200 <= status < 300 and received.id not in self._known:
                self._known.add(received.id)
                self.accepted.append(received.id)
        if status is None:
            self._over.wait(30)
        return status

    def order(self) -> dict[str, list[int]]:
        """The versions of each subject, as they were first accepted."""
        with self._lock:
            accepted = list(self.accepted)
        found: dict[str, list[int]] = {}
        for id_ in accepted:
            subject, version = id_.rsplit("_", 1)
            found.setdefault(subject, []).append(int(version))
        return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _handler(receiver: WebhookReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.take(Received({name.lower(): value for name, value in self.headers.items()}, body))
            if status is None:
                return
            said = b"received" if status < 300 else b"try again <later>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Tests look at what was received."""

    return Handler
