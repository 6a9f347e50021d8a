"""One HTTP GET that ends in time and stays small, whatever the other side does.

The timeouts of requests bound each wait for bytes, so a server that sends one byte a second holds
a call for hours, in its headers too, and nothing bounds the look-up of a name. Here the call runs
in a thread of its own; at the deadline its socket is shut down, which ends the thread, and the
caller goes on.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from billing.exchange.failure import ProviderFailed

_CHUNK = 16 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is decoded from its content encoding, and empty where `status` leads elsewhere (3xx)."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def bounded_get(
    url: str, *, params: Mapping[str, str], headers: Mapping[str, str], deadline_s: float, largest: int
) -> Answer:
    """The answer to one GET: within `deadline_s`, at most `largest` bytes of body, redirects not followed.

    Raises ProviderFailed: timeout, unreachable, tls_failed, too_large.
    """
    line = _Line()
    outcome: Future[Answer | ProviderFailed] = Future()

    def ask() -> None:
        request = {"params": params, "headers": headers, "timeout": deadline_s}
        outcome.set_result(_answer_or_failure(line, url, request, largest))

    Thread(target=ask, name="rates-fetch", daemon=True).start()
    try:
        answer = outcome.result(timeout=deadline_s)
    except TimeoutError:
        line.cut()
        answer = _timeout()
    # Raised here rather than in the thread: what requests raised there names the URL and its app id.
    if isinstance(answer, ProviderFailed):
        raise answer
    return answer


def _answer_or_failure(line: _Line, url: str, request: Mapping[str, Any], largest: int) -> Answer | ProviderFailed:
    try:
        with requests.Session() as session:
            session.mount("http://", line)
            session.mount("https://", line)
            with session.get(url, **request, stream=True, allow_redirects=False) as response:
                return _read(response, largest)
    except requests.exceptions.SSLError:
        return ProviderFailed("tls_failed", "no trusted TLS connection to the provider of rates")
    except requests.Timeout:
        return _timeout()
    except Exception as failure:  # whatever it was, it is an answer that didn't come
        kind = type(failure).__name__
        return ProviderFailed("unreachable", f"the provider of rates could not be reached ({kind})")


def _read(response: requests.Response, largest: int) -> Answer | ProviderFailed:
    if 300 <= response.status_code < 400:
        return Answer(response.status_code, response.headers, b"")
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced[:20]) > largest:
        return _too_large(largest)
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > largest:
            return _too_large(largest)
    return Answer(response.status_code, response.headers, bytes(body))


def _timeout() -> ProviderFailed:
    return ProviderFailed("timeout", "the provider of rates did not answer in time")


def _too_large(largest: int) -> ProviderFailed:
    return ProviderFailed("too_large", f"the provider of rates sent more than {largest} bytes")


class _Line(HTTPAdapter):
    """The transport of one call, which another thread may cut at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self._connections: list[HTTPConnection] = []
        self._sockets: list[object] = []
        self._is_cut = False

    def cut(self) -> None:
        self._is_cut = True
        for used in [*self._sockets, *(connection.sock for connection in self._connections)]:
            _shut_down(used)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = self._cuttable(pool.ConnectionCls)
        return pool

    def _cuttable(line, connection_class: Any) -> Any:  # noqa: N805 - `self` is the connection within
        class Cuttable(connection_class):  # type: ignore[misc]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                line._connections.append(self)  # its socket is there from the TLS handshake on

            def connect(self) -> None:
                super().connect()
                line._sockets.append(self.sock)  # a connection forgets it once the headers are read
                if line._is_cut:
                    _shut_down(self.sock)

        return Cuttable


def _shut_down(used: object) -> None:
    """Wakes whoever waits for the socket's bytes; closing it is left to that thread."""
    if isinstance(used, socket.socket):
        # The plain socket's method: that of a TLS socket changes what the other thread reads with.
        with suppress(OSError):
            socket.socket.shutdown(used, socket.SHUT_RDWR)
