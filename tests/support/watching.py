"""Somebody who watches a bill in this process, without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from billing.bill import Bill
from webapp.live.outlets import Listening
from webapp.live.views import View
from webapp.live.watches import Link, Viewer
from webapp.pages.followed import StaffView
from webapp.system import System

SAID_WITHIN_S = 30


class Heard:
    """What a stream says, message by message."""

    def __init__(self, outlet: Listening) -> None:
        self._outlet = outlet

    def next(self, event: str) -> dict[str, Any]:
        """The next message of this name; others are passed over."""
        while True:
            words = self._outlet.heard(SAID_WITHIN_S)
            assert words, f"no {event} was said"
            name, said = words.decode().split("\n")[:2]
            if name == f"event: {event}":
                return json.loads(said.removeprefix("data: "))


@contextmanager
def watching(system: System, bill: Bill, view: View | None = None, viewer: Viewer | None = None) -> Iterator[Heard]:
    """From when the page was told how the bill stands. Without a `viewer` who stands, until that is asked."""
    view = view or StaffView(bill.id, "USD", True, system)
    watch = system.live.watch(view, viewer=viewer or Link(uuid4()), per_viewer=1, holds_thread=True)
    outlet = Listening()
    system.live.listen(watch, outlet)
    try:
        heard = Heard(outlet)
        heard.next("alive")
        yield heard
    finally:
        system.live.end(watch)
