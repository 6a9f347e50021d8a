"""What caused a signal, an update or an activity: the ids of a request, of who asked and of the trace; nothing else.

A cause travels in a header of its own beside what Temporal is told. The workflow neither reads nor keeps it as state:
it hands on what it heard last (workflows/interception.py), so that histories replay with it and without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from structlog.contextvars import get_contextvars
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter

from billing.origin import ActorKind
from workflows import tracing

Cause = Mapping[str, str]
Headers = Mapping[str, Payload]

HEADER = "pave-cause"
REQUEST_ID = "request_id"
ACTOR = "actor"
# What a header from elsewhere may say of us in a log.
_SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,100}", re.ASCII)
# A kind and an id of ours: no name and no address of anybody has this form.
_SANE_ACTOR = re.compile(rf"({'|'.join(ActorKind)}):[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}")
_BOUND = (REQUEST_ID, ACTOR)
_KNOWN = {*_BOUND, *tracing.CARRIED}

_NONE: Cause = MappingProxyType({})
_current: ContextVar[Cause] = ContextVar("cause", default=_NONE)


def of_this_request() -> Cause:
    """The cause of whatever is asked of Temporal by who runs here now."""
    bound = get_contextvars()
    return {**_sane({name: bound.get(name) for name in _BOUND}), **tracing.carrier()}


@contextmanager
def acting_for(cause: Cause) -> Iterator[None]:
    """Whatever is said to Temporal meanwhile carries this cause."""
    token = _current.set(cause)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Cause:
    return _current.get()


def written(headers: Headers, cause: Cause) -> Headers:
    """The headers with the cause beside them; as they are when there is none."""
    if not cause:
        return headers
    return {**headers, HEADER: PayloadConverter.default.to_payload(dict(cause))}


def read(headers: Headers) -> Cause:
    """The cause in these headers; none when there is none, or when what stands there is no cause of ours."""
    if HEADER not in headers:
        return _NONE
    try:
        found = PayloadConverter.default.from_payload(headers[HEADER])
    except Exception:
        # Whoever may signal can write anything into it.
        return _NONE
    if not isinstance(found, dict):
        return _NONE
    return _sane(found)


def _sane(found: Mapping[str, object]) -> dict[str, str]:
    """Writer and reader hold to it alike: what goes to Temporal is stored there."""
    return {
        name: value
        for name, value in found.items()
        if name in _KNOWN and isinstance(value, str) and (_SANE_ACTOR if name == ACTOR else _SANE).fullmatch(value)
    }
