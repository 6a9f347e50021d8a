"""The load: so many clients on kept-alive connections, each asking again as soon as it was answered.

One thread, one selector and raw sockets, so that it costs a small part of what it measures; `cpu_share`
says how small. Loopback only, bounded in time and count.
"""

from __future__ import annotations

import heapq
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"
OK, NO_SUCCESS = 200, 300
LAST_CHUNK = b"0\r\n\r\n"
MOST_REQUESTS = 200_000
LAST_ANSWERS_WITHIN_S = 120.0

Ask = Callable[[int], bytes]
"""The next request of the client with this number."""


@dataclass
class Sample:
    """`latencies_ms` of what was asked within the window and got a 200; `answered` counts what came within it."""

    window_s: float
    latencies_ms: list[float] = field(default_factory=list)
    answered: int = 0
    refused: int = 0
    first_refusal: str = ""
    answer_bytes: int = 0
    cpu_share: float = 0.0

    @property
    def per_second(self) -> float:
        return self.answered / self.window_s

    def count(self, client: _Client) -> None:
        self.answered += 1
        self.answer_bytes += client.size

    def refuse(self, client: _Client) -> None:
        self.refused += 1
        self.first_refusal = self.first_refusal or client.head.decode(errors="replace")


@dataclass(frozen=True)
class Group:
    """Each asks again when it was answered, and `every_s` after it asked last at the earliest."""

    clients: int
    ask: Ask
    every_s: float = 0.0


class _Client:
    """Number so-and-so of its group."""

    def __init__(self, number: int, port: int, group: int = 0) -> None:
        self.number = number
        self.group = group
        self._port = port
        self.asked_at = 0.0
        self.missing = -1  # bytes of the answer's body, once its head is here
        self.head = b""
        self.status = 0
        self.size = 0
        self.connect()

    def connect(self) -> None:
        self.socket = socket.create_connection((LOOPBACK, self._port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> None:
        self.missing, self.head, self.size, self.status = -1, b"", 0, 0
        self.asked_at = time.perf_counter()
        self.socket.sendall(request)

    @property
    def succeeded(self) -> bool:
        return OK <= self.status < NO_SUCCESS

    def is_answered(self) -> bool:
        """Reads what has come; whether the answer is whole."""
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the server closed a connection")
        self.size += len(data)
        if self.missing >= 0:
            self.missing -= len(data)
            return self.missing <= 0
        self.head += data
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return False
        self.status = int(self.head[9:12])
        if b"transfer-encoding: chunked" in self.head[:end].lower():
            return self.head.endswith(LAST_CHUNK)
        self.missing = _content_length(self.head[:end]) - (len(self.head) - end - 4)
        return self.missing <= 0


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.index(b"content-length:") + 15
    return int(lowered[start : start + 20].split(b"\r\n")[0])


def run(port: int, clients: int, ask: Ask, seconds: float, warm_up_s: float = 0.5) -> Sample:
    """Asks for `warm_up_s` unmeasured and then for `seconds`; raises when a server falls silent."""
    return run_groups(port, [Group(clients, ask)], seconds, warm_up_s)[0]


def run_groups(port: int, groups: Sequence[Group], seconds: float, warm_up_s: float = 0.5) -> list[Sample]:
    """As `run`, several groups of clients at the same time, each with a sample of its own."""
    everyone = [_Client(n, port, group) for group, one in enumerate(groups) for n in range(one.clients)]
    try:
        with selectors.DefaultSelector() as selector:
            for client in everyone:
                selector.register(client.socket, selectors.EVENT_READ, client)
            return _Run(selector, groups, seconds, warm_up_s).samples(everyone)
    finally:
        for client in everyone:
            client.socket.close()


def in_turn(port: int, requests: Iterable[bytes]) -> Sample:
    """One client, one request after the other; `window_s` is the time spent waiting for answers."""
    client, result = _Client(0, port), Sample(0.0)
    try:
        for request in requests:
            client.ask(request)
            while not client.is_answered():
                pass
            took_s = time.perf_counter() - client.asked_at
            if not client.succeeded:
                result.refuse(client)
                continue
            result.count(client)
            result.latencies_ms.append(took_s * 1000)
            result.window_s += took_s
    finally:
        client.socket.close()
    return result


class _Run:
    def __init__(
        self, selector: selectors.BaseSelector, groups: Sequence[Group], seconds: float, warm_up_s: float
    ) -> None:
        self._selector = selector
        self._groups = groups
        self._begin = time.perf_counter() + warm_up_s
        self._end = self._begin + seconds
        self._results = [Sample(seconds) for _ in groups]
        self._asked = 0
        # Those that were answered and ask again later, by when.
        self._resting: list[tuple[float, int, _Client]] = []

    def samples(self, everyone: list[_Client]) -> list[Sample]:
        cpu, began = time.thread_time(), time.perf_counter()
        for client in everyone:
            # Those with a pace begin one after the other, so that they don't come in bursts.
            group = self._groups[client.group]
            heapq.heappush(self._resting, (began + client.number * group.every_s / group.clients, id(client), client))
        busy = self._wake()
        while busy or self._resting:
            ready = self._selector.select(self._until_the_next_s())
            if not ready and not self._resting:
                raise TimeoutError("no answer came")
            for key, _ in ready:
                client = key.data
                if self._is_over(client):
                    now = time.perf_counter()
                    self._note(client, now)
                    self._let_rest(client)
                    busy -= 1
            busy += self._wake()
        for result in self._results:
            result.cpu_share = (time.thread_time() - cpu) / (time.perf_counter() - began)
        return self._results

    def _let_rest(self, client: _Client) -> None:
        again_at = client.asked_at + self._groups[client.group].every_s
        if again_at < self._end and self._asked < MOST_REQUESTS:
            heapq.heappush(self._resting, (again_at, id(client), client))

    def _until_the_next_s(self) -> float:
        if not self._resting:
            return LAST_ANSWERS_WITHIN_S
        return max(self._resting[0][0] - time.perf_counter(), 0)

    def _wake(self) -> int:
        """How many ask again."""
        woken, now = 0, time.perf_counter()
        while self._resting and self._resting[0][0] <= now:
            _, _, client = heapq.heappop(self._resting)
            if now < self._end and self._asked < MOST_REQUESTS:
                self._let_ask(client)
                woken += 1
        return woken

    def _let_ask(self, client: _Client) -> None:
        client.ask(self._groups[client.group].ask(client.number))
        self._asked += 1

    def _is_over(self, client: _Client) -> bool:
        """Whether it was answered, or its connection closed instead: that counts as refused."""
        try:
            return client.is_answered()
        except ConnectionError as error:
            self._selector.unregister(client.socket)
            client.connect()
            waited_s = time.perf_counter() - client.asked_at
            client.status, client.head = 0, f"{error} after {waited_s:.1f} s".encode()
            self._selector.register(client.socket, selectors.EVENT_READ, client)
            return True

    def _note(self, client: _Client, now: float) -> None:
        result = self._results[client.group]
        if not client.succeeded:
            result.refuse(client)
            return
        if self._begin <= now < self._end:
            result.count(client)
        if self._begin <= client.asked_at < self._end:
            result.latencies_ms.append((now - client.asked_at) * 1000)


def post(path: str, body: bytes, headers: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
