"""`GET /metrics` on a port of its own, for web and worker: nothing here knows what is served.

Of gunicorn's processes each listens at the one socket that their parent opened, and any of them answers.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from billing.settings import SettingsInvalid

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A scraper that hangs holds one thread for so long.
SCRAPER_PATIENCE_S = 10

Address = tuple[str, int]


def address_in(environment: Mapping[str, str], port_name: str) -> Address | None:
    """Where metrics are to be served; None when no port is given. Raises SettingsInvalid."""
    text = environment.get(port_name) or ""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise SettingsInvalid(f"{port_name} must be a number from 1 to 65535, not {text!r}")
    return environment.get("METRICS_ADDRESS") or "127.0.0.1", int(text)


def listener_at(address: Address) -> socket.socket:
    """Raises OSError when somebody else listens there."""
    listener = socket.create_server(address, family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    # Several processes wait for it at once: who comes too late must not wait for the next scraper.
    listener.setblocking(False)
    return listener


def serve(listener: socket.socket, render: Callable[[], bytes]) -> None:
    """From now on, in the background, until the process ends."""
    server = _Server(listener.getsockname()[:2], _handler(render), bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that went away is no news."""


def _handler(render: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SCRAPER_PATIENCE_S
        server_version, sys_version = "pave", ""

        def do_GET(self) -> None:
            if self.path.split("?", 1)[0] != "/metrics":
                self.send_error(404)
                return
            body = render()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Not a line for each scrape."""

    return Handler
