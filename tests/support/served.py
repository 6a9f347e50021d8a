"""An application that a browser can reach: its server in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """The application logs its requests itself."""


@contextmanager
def served(app: Flask, port: int = 0) -> Iterator[str]:
    """The application's address; with the end of it nothing of the application is left."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        app.extensions["pave"].live.stop_when(lambda: True)
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["pave"].background.shutdown()
        app.extensions["pave"].engine.dispose()
