"""One open page's stream, as the process knows it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from uuid import UUID

from webapp.live.outlets import Outlet
from webapp.live.views import View


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser, for as long as it has this role."""

    id: UUID
    role: str


@dataclass(frozen=True, slots=True)
class Link:
    """A customer's link, until it is revoked."""

    id: UUID


Viewer = Session | Link


class Watch:
    """`outlet` is None until the answer's head is made; from then on it is the live thread's."""

    def __init__(self, view: View, viewer: Viewer, *, holds_thread: bool) -> None:
        self.view = view
        self.viewer = viewer
        self.holds_thread = holds_thread
        self.outlet: Outlet | None = None
        self.began_s = self.said_s = time.monotonic()

    def say(self, words: bytes) -> None:
        """Nothing, to a page that isn't listening yet: it is greeted with how things stand then."""
        if self.outlet is not None and not self.outlet.is_over:
            self.said_s = time.monotonic()
            self.outlet.say(words)
