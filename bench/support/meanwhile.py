"""A client that adds to bills of its own while something else happens."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from bench.support import load
from bench.support.bills import SystemBills
from bench.support.load import Sample
from bench.support.stack import Stack

BILLS = 64
A_WHILE_S = 0.5


class Adding:
    """From the beginning of the `with` to its end; then `sample` holds all of it."""

    def __init__(self, stack: Stack, clients: int = 1) -> None:
        bills = SystemBills(stack)
        self._port = stack.ports["system"]
        self._clients = clients
        self._ask = bills.adding([bills.opened(BILLS // clients) for _ in range(clients)])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failed: Exception | None = None
        self.sample = Sample(0.0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(load.LAST_ANSWERS_WITHIN_S)
        if self._failed and kind is None:
            raise self._failed

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._add(load.run(self._port, self._clients, self._ask, A_WHILE_S, warm_up_s=0.0))
        except Exception as error:
            self._failed = error

    def _add(self, one: Sample) -> None:
        self.sample.window_s += one.window_s
        self.sample.latencies_ms += one.latencies_ms
        self.sample.answered += one.answered
        self.sample.refused += one.refused
        self.sample.first_refusal = self.sample.first_refusal or one.first_refusal
