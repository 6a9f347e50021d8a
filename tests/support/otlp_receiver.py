"""Takes spans by OTLP over HTTP, as a collector does, and keeps them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class OtlpReceiver:
    """`spans` are the protocol's own messages, in the order in which they came."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: dict[bytes, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def span_when(self, wanted: Callable[[Any], bool], within_s: float = 60) -> Any:
        """The first such span, as soon as it has come: exporters send some seconds later."""
        deadline = time.monotonic() + within_s
        while True:
            found = next((span for span in list(self.spans) if wanted(span)), None)
            if found is not None:
                return found
            assert time.monotonic() < deadline, f"no such span among {[span.name for span in self.spans]}"
            time.sleep(0.1)

    def trace(self, trace_id: bytes) -> list[Any]:
        return [span for span in list(self.spans) if span.trace_id == trace_id]

    def _take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {entry.key: entry.value.string_value for entry in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.services[span.span_id] = names.get("service.name", "")
                    self.spans.append(span)

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(_plain(self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler


def _plain(headers: Any, body: bytes) -> bytes:
    assert headers.get("Content-Encoding", "identity") == "identity"
    return body
