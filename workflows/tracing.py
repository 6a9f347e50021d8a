"""Spans from a request to the activity that it caused, sent by OTLP over HTTP when an endpoint is configured.

Nothing of OpenTelemetry is imported otherwise. Spans carry ids, routes and statuses: never addresses with tokens,
names, texts, or what an exception said. The SDK's own variables, OTEL_SERVICE_NAME and the like, count.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# W3C Trace Context; baggage isn't carried, since anything may be in it.
CARRIED = ("traceparent", "tracestate")
FLUSH_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class _Tracing:
    tracer: Any
    inject: Callable[[dict[str, str]], None]
    extract: Callable[[Mapping[str, str]], Any]
    flush: Callable[[], None]


_tracing: _Tracing | None = None


def is_configured(environment: Mapping[str, str] = os.environ) -> bool:
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not disabled and any(environment.get(name) for name in names)


def start(service: str) -> None:
    """Once a process, after any fork: the exporter has a thread of its own. Does nothing when nothing is configured."""
    global _tracing  # noqa: PLW0603 - one a process
    if is_configured():
        _tracing = _started(service)


def stop() -> None:
    """Sends what is still to be sent, for two seconds at most."""
    if _tracing is not None:
        _tracing.flush()


@contextmanager
def span(name: str, kind: str, parent: Mapping[str, str] | None = None, **attributes: str | int) -> Iterator[Any]:
    """`kind` is server, client or internal. Without a `parent`, that of the span around it. None when it is off."""
    if _tracing is None:
        yield None
        return
    with _tracing.tracer.start_as_current_span(
        name,
        context=_tracing.extract(parent) if parent else None,
        kind=_kind(kind),
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except Exception as error:
            failed(made, type(error).__qualname__)
            raise


def failed(made: Any, reason: str) -> None:
    """Marks a span, by a word of ours."""
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - only when it is on

    made.set_status(Status(StatusCode.ERROR, reason))


def carrier() -> Mapping[str, str]:
    """The span that is open here, for a header; empty when tracing is off."""
    found: dict[str, str] = {}
    if _tracing is not None:
        _tracing.inject(found)
    return found


def _started(service: str) -> _Tracing:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": service}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    propagator = TraceContextTextMapPropagator()
    return _Tracing(
        provider.get_tracer("pave"),
        propagator.inject,
        propagator.extract,
        lambda: _flush(provider),
    )


def _flush(provider: Any) -> None:
    provider.force_flush(timeout_millis=int(FLUSH_WITHIN_S * 1000))


def _kind(name: str) -> Any:
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    return SpanKind[name.upper()]
