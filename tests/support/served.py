"""An application that a browser can reach: its server in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

ANSWERED_WITHIN_S = 60


class _UnderWay:
    """Requests that are being answered: the server itself waits for none of their threads, since browsers hold
    connections on which they ask for nothing."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        with self._changed:
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def wait_for_none(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: not self._count, ANSWERED_WITHIN_S)


def _handler(under_way: _UnderWay) -> type[WSGIRequestHandler]:
    class Handler(WSGIRequestHandler):
        def run_wsgi(self) -> None:
            with under_way.one_more():
                super().run_wsgi()

        def log(self, *_: object) -> None:
            """The application logs its requests itself."""

    return Handler


@contextmanager
def served(app: Flask, port: int = 0) -> Iterator[str]:
    """The application's address; with the end of it nothing of the application is left."""
    under_way = _UnderWay()
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_handler(under_way))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        app.extensions["pave"].live.stop_when(lambda: True)
        server.shutdown()
        thread.join()
        server.server_close()
        under_way.wait_for_none()
        app.extensions["pave"].close()
