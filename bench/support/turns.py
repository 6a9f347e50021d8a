"""One request after the other, the ways in turn: what slows the machine for a while slows all of them alike."""

from __future__ import annotations

import re
import socket
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.support.load import LOOPBACK
from bench.support.measures import percentile

OK = 200
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
PATIENCE_S = 60


@dataclass(frozen=True)
class Request:
    """What is sent, whole."""

    path: str
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes = b""

    @property
    def bytes(self) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True)
class Answer:
    status: int
    head: str
    body: bytes
    took_ms: float

    @property
    def cookie(self) -> str:
        """The one that was set, as it is sent back."""
        found = re.search(r"^set-cookie: ([^;]+)", self.head, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else ""

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Asked:
    """Whatever is asked of the web at `port`; `ask` makes the next request."""

    port: int
    ask: Callable[[], Request]


class Asker:
    """A kept-alive connection to each web, raw, so that asking costs next to nothing."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_error: object) -> None:
        for one in self._sockets.values():
            one.close()

    def answer(self, port: int, request: Request, *, status: int = OK) -> Answer:
        """Raises RuntimeError when it isn't of this status: figures of refusals are none."""
        if port not in self._sockets:
            self._sockets[port] = socket.create_connection((LOOPBACK, port), timeout=PATIENCE_S)
            self._sockets[port].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent, began = request.bytes, time.perf_counter()
        self._sockets[port].sendall(sent)
        head, body = _received(self._sockets[port])
        took_ms = (time.perf_counter() - began) * 1000
        answer = Answer(int(head[9:12]), head.decode(), body, took_ms)
        if answer.status != status:
            raise RuntimeError(f"{request.method} {request.path} answered {answer.status}: {body[:500]!r}")
        return answer


def _received(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of one answer."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _some(connection)
    head, parts = data[:end], [data[end + 4 :]]
    missing = int(_LENGTH.search(head)[1]) - len(parts[0])
    while missing > 0:
        parts.append(_some(connection))
        missing -= len(parts[-1])
    return head, b"".join(parts)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(262_144)
    if not data:
        raise ConnectionError("the server closed a connection")
    return data


@dataclass(frozen=True)
class Latencies:
    """Of each way, those of each round; a round is the same requests of every way, one of each in turn."""

    rounds: Mapping[str, Sequence[Sequence[float]]]

    def of(self, prefix: str) -> list[list[float]]:
        """All rounds of the ways whose names begin like this."""
        return [list(one) for way, rounds in self.rounds.items() if way.startswith(prefix) for one in rounds]

    def p50(self, way: str) -> float:
        return statistics.median(latency for one in self.rounds[way] for latency in one)

    def p95(self, way: str) -> float:
        return percentile(sorted(latency for one in self.rounds[way] for latency in one), 95)

    def ratio(self, way: str, other: str) -> float:
        """The median over the rounds of their medians' ratios."""
        pairs = zip(self.rounds[way], self.rounds[other], strict=True)
        return statistics.median(statistics.median(one) / statistics.median(two) for one, two in pairs)

    def ratio_of_p95(self, way: str, other: str) -> float:
        return self.p95(way) / self.p95(other)


def in_turns(ways: Mapping[str, Asked], *, rounds: int, each: int, warm_up: int = 3) -> Latencies:
    """Every round begins with another way, so that none always follows the same."""
    names = list(ways)
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    with Asker() as asker:
        for _ in range(warm_up):
            for way in ways.values():
                asker.answer(way.port, way.ask())
        for _ in range(rounds):
            for name in names:
                found[name].append([])
            for turn in range(each):
                for name in names[turn % len(names) :] + names[: turn % len(names)]:
                    found[name][-1].append(asker.answer(ways[name].port, ways[name].ask()).took_ms)
    return Latencies(found)
