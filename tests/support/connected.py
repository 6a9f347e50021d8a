"""A request over a real socket, read as production's server reads it, while the test is the one who sends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from flask import Flask
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser
from werkzeug.test import TestResponse, run_wsgi_app
from werkzeug.wrappers import Request

HERE = ("127.0.0.1", 1)


def answered(app: Flask, path: str, headers: Mapping[str, str], send: Callable[[socket.socket], None]) -> TestResponse:
    """To a POST whose body is what `send` writes to its connection; it runs on a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        servers, _ = listening.accept()
    head = "".join([f"POST {path} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in headers.items()), "\r\n"])
    with ours, servers:
        ours.sendall(head.encode())
        sending = threading.Thread(target=_sent, args=(send, ours))
        sending.start()
        try:
            config = Config()
            parsed = next(RequestParser(config, servers, HERE))
            _, environ = wsgi.create(parsed, servers, HERE, HERE, config)
            return TestResponse(*run_wsgi_app(app, environ, buffered=True), request=Request(environ))
        finally:
            servers.close()
            sending.join()


def _sent(send: Callable[[socket.socket], None], ours: socket.socket) -> None:
    """As much of it as the server took."""
    with suppress(ConnectionError):
        send(ours)
