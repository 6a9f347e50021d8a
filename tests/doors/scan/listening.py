"""What scanners need besides what they scan: an address that nothing may be made to call, and something with holes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

Respond = Callable[[str], tuple[str, str]]
# What wapiti asks of it: who was made to call. The answer is counted from what this one saw.
ASKED_BY_WAPITI = ("/get_ssrf.php", "/get_xxe.php")


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what was asked of it by somebody else than the scanner."""
    called: list[str] = []

    def respond(address: str) -> tuple[str, str]:
        if not urlsplit(address).path.startswith(ASKED_BY_WAPITI):
            called.append(address)
        return "application/json", "{}"

    with served(respond) as url:
        yield f"{url}/", called


@contextmanager
def full_of_holes(engine: Engine) -> Iterator[str]:
    """A page that puts what it is asked for into SQL and HTML as it is: a scanner that finds nothing here is blind."""

    def respond(address: str) -> tuple[str, str]:
        parts = urlsplit(address)
        name = parse_qs(parts.query).get("name", [""])[0]
        if parts.path == "/sql":
            return "text/html", f"<p>{_queried(engine, name)}</p>"
        if parts.path == "/html":
            return "text/html", f"<p>{name}</p>"
        return "text/html", '<a href="/sql?name=mtkvari-freight">One</a> <a href="/html?name=mtkvari-freight">two</a>'

    with served(respond) as url:
        yield url


def _queried(engine: Engine, name: str) -> str:
    try:
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(f"SELECT id FROM customers WHERE external_id = '{name}'").all()
    except SQLAlchemyError as error:
        return f"PostgreSQL query failed: ERROR: {error.args[0]}"
    return f"{len(rows)} found"


@contextmanager
def served(respond: Respond) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = respond(self.path)
            content = body.encode(errors="replace")
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_GET  # noqa: N815 - likewise

        def log_message(self, *_: object) -> None:
            """Thousands of them."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Scanners hang up."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
