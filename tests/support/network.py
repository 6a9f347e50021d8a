"""The network as a test sees it: names resolve to what it says, and nothing but loopback is ever connected to."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

Answer = Sequence[str] | Callable[[], Sequence[str]]


class Network:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, Answer] = {}
        self.looked_up: list[str] = []
        self.tried: list[tuple[str, int]] = []
        self.swallowed: set[str] = set()
        self._leads_to: dict[str, str] = {}
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)
        monkeypatch.setattr(socket.socket, "connect", self._connect_or_not(socket.socket.connect))

    def lead(self, address: str, elsewhere: str) -> None:
        """As a rule of a firewall, or a proxy that nobody sees, would."""
        self._leads_to[address] = elsewhere

    def _getaddrinfo(self, host: str, port: int, *_: object, **__: object) -> list[Any]:
        self.looked_up.append(host)
        answer = self.names.get(host, ())
        addresses = answer() if callable(answer) else answer
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown here")
        return [_info(address, port) for address in addresses]

    def _connect_or_not(self, connect: Callable[[socket.socket, Any], None]) -> Callable[[socket.socket, Any], None]:
        def connect_or_not(one: socket.socket, address: tuple[str, int]) -> None:
            host, port = address[:2]
            self.tried.append((host, port))
            if host in self.swallowed:
                time.sleep(one.gettimeout() or 0)
                raise TimeoutError
            host = self._leads_to.get(host, host)
            if not host.startswith("127.") and host != "::1":
                raise ConnectionRefusedError
            connect(one, (host, port))

        return connect_or_not


def _info(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)
