"""What holds clients back until there is something to interrupt them with."""

from __future__ import annotations

import threading


class Gate:
    """Lets clients go on as far as kills have come, so that there is work to interrupt until the last of them."""

    def __init__(self, clients: int) -> None:
        self._changed = threading.Condition()
        self._released = 0.0
        self._clients = clients
        self._waiting = 0

    def release(self, progress: float) -> None:
        with self._changed:
            self._released = progress
            self._changed.notify_all()

    def wait(self, progress: float, stop: threading.Event) -> None:
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            while progress > self._released and not stop.is_set():
                self._changed.wait(1)
            self._waiting -= 1

    def leave(self) -> None:
        with self._changed:
            self._clients -= 1
            self._changed.notify_all()

    def wait_until_all_wait(self, within_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting >= self._clients, within_s)
