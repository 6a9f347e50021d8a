"""A local provider of rates that behaves as Open Exchange Rates documents, and misbehaves on command.

    with RatesProvider() as provider:
        client = OpenExchangeRates(provider.app_id, provider.url)
        provider.publish(GEL="2.9")                    # new rates, of this second
        provider.behave("slow_body")                   # until told otherwise
        provider.behave("bad_rate", currency="GEL", rate="-1")
        provider.behave("normally")
        provider.requests                              # what was asked, oldest first

Faults of content are applied to the rates as published, so that only one thing is wrong at a time.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

APP_ID = "0123456789abcdef0123456789abcdef"
DAY_S = 24 * 60 * 60
HUGE = 50_000_000
# Only a deadline ends these. All others get all the time that a busy machine needs.
ENDLESS = {"slow_headers", "slow_body", "silence"}


@dataclass(frozen=True)
class Request:
    path: str
    query: dict[str, str]
    headers: dict[str, str]


class RatesProvider:
    """`rates` are texts of JSON numbers by code, `timestamp` the seconds since 1970 they are of."""

    def __init__(self) -> None:
        self.app_id = APP_ID
        self.rates = {
            "USD": "1", "GEL": "2.7052", "EUR": "0.8596", "GBP": "0.7614", "JPY": "154.62", "KWD": "0.30694",
            "CLF": "0.02338", "TRY": "42.2871", "AMD": "382.15", "AZN": "1.7",
            "BTC": "1.1e-05", "XAU": "0.00024",
        }  # fmt: skip
        self.timestamp = int(time.time())
        self.requests: list[Request] = []
        self.stopping = Event()
        self.written_of_huge = 0
        self._behaviour: tuple[str, dict[str, Any]] = ("normally", {})
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """What OPENEXCHANGERATES_URL takes."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/api"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def behave(self, how: str, **details: Any) -> None:
        """`how` is a name in BEHAVIOURS; the details are that function's keyword arguments."""
        assert how in BEHAVIOURS, f"no behaviour {how!r}; there are {', '.join(BEHAVIOURS)}"
        self._behaviour = (how, details)

    @property
    def is_endless(self) -> bool:
        return self._behaviour[0] in ENDLESS

    def publish(self, **rates: str) -> None:
        """New rates, of this second."""
        self.rates.update(rates)
        self.timestamp = int(time.time())

    def handle(self, exchange: _Handler) -> None:
        request = exchange.asked
        with self._lock:
            self.requests.append(request)
            how, details = self._behaviour
        BEHAVIOURS[how](exchange, self, **details)

    def body(self, *, base: str = "USD", timestamp: int | None = None, **changes: str | None) -> bytes:
        """`latest.json` with rates changed, or left out where the change is None."""
        rates = {code: rate for code, rate in (self.rates | changes).items() if rate is not None}
        figures = ", ".join(f"{json.dumps(code)}: {rate}" for code, rate in rates.items())
        return (
            '{"disclaimer": "A test", "license": "A test", '
            f'"timestamp": {timestamp or self.timestamp}, "base": "{base}", "rates": {{{figures}}}}}'
        ).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    provider: RatesProvider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what is being tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.close_connection = True
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked = Request(parts.path, query, dict(self.headers.items()))
        self.server.provider.handle(self)

    def log_message(self, *_: Any) -> None:
        """Tests ask `requests` instead."""

    def answer(
        self,
        body: bytes,
        status: int = 200,
        content_type: str = "application/json; charset=utf-8",
        **headers: str,
    ) -> None:
        self.start(status, content_type, **{"Content_Length": str(len(body)), **headers})
        self.wfile.write(body)

    def start(self, status: int, content_type: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def error(self, status: int, message: str, **headers: str) -> None:
        content = {"error": True, "status": status, "message": message, "description": "A test"}
        self.answer(json.dumps(content).encode(), status, **headers)

    def trickle(self, data: bytes, pause_s: float) -> None:
        """One byte after the other, until the client or the provider goes away."""
        for byte in data:
            if self.server.provider.stopping.wait(pause_s):
                return
            self.wfile.write(bytes([byte]))


def _normally(exchange: _Handler, provider: RatesProvider) -> None:
    """latest.json, conditional requests, and the errors of app ids and addresses, as documented."""
    request = exchange.asked
    app_id = request.query.get("app_id") or request.headers.get("Authorization", "").removeprefix("Token ")
    if request.path != "/api/latest.json":
        return exchange.error(404, "not_found")
    if not app_id:
        return exchange.error(401, "missing_app_id")
    if app_id != provider.app_id:
        return exchange.error(401, "invalid_app_id")
    if request.query.get("base", "USD") != "USD":
        return exchange.error(400, "invalid_base")
    return _conditionally(exchange, provider.body(), provider)


def _conditionally(exchange: _Handler, body: bytes, provider: RatesProvider) -> None:
    etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    validators = {"ETag": etag, "Last_Modified": formatdate(provider.timestamp, usegmt=True)}
    if exchange.asked.headers.get("If-None-Match") == etag:
        exchange.start(304, "application/json; charset=utf-8", **validators)
    else:
        exchange.answer(body, **validators)


def _with(exchange: _Handler, provider: RatesProvider, **changes: Any) -> None:
    _conditionally(exchange, provider.body(**changes), provider)


def _jump(exchange: _Handler, provider: RatesProvider, currency: str = "GEL", rate: str = "27.052") -> None:
    _with(exchange, provider, **{currency: rate})


def _bad_rate(exchange: _Handler, provider: RatesProvider, currency: str = "GEL", rate: str = "0") -> None:
    _with(exchange, provider, **{currency: rate})


def _missing_currency(exchange: _Handler, provider: RatesProvider, currency: str = "GEL") -> None:
    _with(exchange, provider, **{currency: None})


def _slow_headers(exchange: _Handler, _: RatesProvider, pause_s: float = 1) -> None:
    exchange.trickle(b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 60_000, pause_s)


def _slow_body(exchange: _Handler, provider: RatesProvider, pause_s: float = 1) -> None:
    body = provider.body()
    exchange.start(200, "application/json; charset=utf-8", Content_Length=str(len(body)))
    exchange.trickle(body, pause_s)


def _silence(exchange: _Handler, provider: RatesProvider) -> None:
    provider.stopping.wait()


def _reset(exchange: _Handler, _: RatesProvider) -> None:
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.connection.close()


def _cut_off(exchange: _Handler, provider: RatesProvider) -> None:
    """The connection ends in the middle of the announced body."""
    body = provider.body()
    exchange.start(200, "application/json; charset=utf-8", Content_Length=str(len(body)))
    exchange.wfile.write(body[: len(body) // 2])


def _huge(exchange: _Handler, provider: RatesProvider) -> None:
    exchange.start(200, "application/json; charset=utf-8", Content_Length=str(HUGE))
    provider.written_of_huge = 0
    for _chunk in range(HUGE // 100_000):
        exchange.wfile.write(b" " * 100_000)
        provider.written_of_huge += 100_000


def _huge_chunked(exchange: _Handler, _: RatesProvider) -> None:
    exchange.start(200, "application/json; charset=utf-8", Transfer_Encoding="chunked")
    for _chunk in range(HUGE // 100_000):
        exchange.wfile.write(b"%x\r\n%b\r\n" % (100_000, b" " * 100_000))


def _huge_when_unpacked(exchange: _Handler, _: RatesProvider) -> None:
    exchange.answer(gzip.compress(b" " * HUGE, 9), Content_Encoding="gzip")


def _invalid_headers(exchange: _Handler, provider: RatesProvider) -> None:
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n: no name\r\nnonsense\r\n\r\n")
    exchange.wfile.write(provider.body())


BEHAVIOURS: dict[str, Callable[..., None]] = {
    "normally": _normally,
    "slow_headers": _slow_headers,
    "slow_body": _slow_body,
    "silence": _silence,
    "reset": _reset,
    "cut_off": _cut_off,
    "rate_limited": lambda exchange, _, **headers: exchange.error(429, "too_many_requests", **headers),
    "over_use": lambda exchange, _, **headers: exchange.error(429, "access_restricted", **headers),
    "access_restricted": lambda exchange, _: exchange.error(403, "access_restricted"),
    "not_allowed": lambda exchange, _: exchange.error(429, "not_allowed"),
    "missing_app_id": lambda exchange, _: exchange.error(401, "missing_app_id"),
    "invalid_app_id": lambda exchange, _: exchange.error(401, "invalid_app_id"),
    "invalid_base": lambda exchange, _: exchange.error(400, "invalid_base"),
    "server_error": lambda exchange, _: exchange.answer(b"<h1>Oops</h1>", 500, "text/html"),
    "teapot": lambda exchange, _: exchange.answer(b"no", 418, "text/plain"),
    "redirect": lambda exchange, provider: exchange.answer(b"", 302, Location=provider.url + "/latest.json"),
    "html": lambda exchange, _: exchange.answer(b"<!doctype html><p>Hello", 200, "text/html; charset=utf-8"),
    "html_as_json": lambda exchange, _: exchange.answer(b"<!doctype html><p>Hello"),
    "truncated": lambda exchange, provider: exchange.answer(provider.body()[:-20]),
    "bytes": lambda exchange, _, body: exchange.answer(body),
    "huge": _huge,
    "huge_chunked": _huge_chunked,
    "huge_when_unpacked": _huge_when_unpacked,
    "invalid_headers": _invalid_headers,
    "not_modified": lambda exchange, _: exchange.start(304, "application/json; charset=utf-8"),
    "other_base": lambda exchange, provider: _with(exchange, provider, base="EUR"),
    "tomorrow": lambda exchange, provider: _with(exchange, provider, timestamp=int(time.time()) + DAY_S),
    "last_week": lambda exchange, provider: _with(exchange, provider, timestamp=int(time.time()) - 7 * DAY_S),
    "zero_rate": _bad_rate,
    "negative_rate": lambda exchange, provider: _bad_rate(exchange, provider, rate="-2.7"),
    "nan_rate": lambda exchange, provider: _bad_rate(exchange, provider, rate="NaN"),
    "bad_rate": _bad_rate,
    "missing_currency": _missing_currency,
    "jump": _jump,
}
