"""The bill as a PDF: the same bytes for the same state of it, few at once, remembered for a while."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from billing.errors import ResourceExhausted
from billing.ledger import seller
from webapp.assets import PROJECT, inter
from webapp.documents.document import Document
from webapp.documents.figures import template_data
from webapp.system import System

TEMPLATE = PROJECT / "templates" / "documents" / "bill.typ"
PROGRAM = Path(__file__).with_name("typesetting.py")
# Typesetting takes about a second and 100 MB for each thousand lines; a longer bill is had as CSV.
MOST_LINES = 5_000
AT_ONCE = 1
WAITING = 4
# One of a viewer's is made while another waits: whoever asks for a bill in every currency leaves room for others.
A_VIEWER = 2
WITHIN_S = 25.0
KEPT_BYTES = 24 * 1024 * 1024


class TooManyDocuments(ResourceExhausted):
    """Others' documents are being made; each takes seconds."""

    default_message = "too many documents are being made just now"
    retry_after_s = 5


class TooManyLines(Exception):
    """The bill has more lines than a PDF is made of."""


class TakesTooLong(Exception):
    """Typesetting this bill was given up; to try again at once would take as long."""


class Places:
    """Who has a PDF made or waits for it, and few of them: each holds a thread of the web process."""

    def __init__(self, most: int, a_viewer: int) -> None:
        self._most = most
        self._a_viewer = a_viewer
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def one(self, viewer: str) -> Iterator[None]:
        """Raises TooManyDocuments, at once."""
        with self._lock:
            if self._taken.total() >= self._most or self._taken[viewer] >= self._a_viewer:
                raise TooManyDocuments
            self._taken[viewer] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[viewer] -= 1
                self._taken += Counter()  # forgets who has none any more


class Kept:
    """PDFs by the hash of what they were made of, the least used dropped first."""

    def __init__(self) -> None:
        self.files: OrderedDict[str, bytes] = OrderedDict()
        self.lock = threading.Lock()

    def find(self, key: str) -> bytes | None:
        with self.lock:
            if key in self.files:
                self.files.move_to_end(key)
            return self.files.get(key)

    def keep(self, key: str, pdf: bytes) -> None:
        with self.lock:
            self.files[key] = pdf
            while len(self.files) > 1 and sum(map(len, self.files.values())) > KEPT_BYTES:
                self.files.popitem(last=False)


_kept = Kept()
_presses = threading.BoundedSemaphore(AT_ONCE)
_places = Places(AT_ONCE + WAITING, A_VIEWER)


def place(viewer: str) -> AbstractContextManager[None]:
    """To be taken before a bill's lines are read: what is refused has cost nothing. Raises TooManyDocuments."""
    return _places.one(viewer)


def pdf_of(system: System, document: Document) -> bytes:
    """Of all lines of the bill, for who has a place. Raises TooManyLines, TooManyDocuments, TakesTooLong."""
    if document.bill.item_count > MOST_LINES:
        raise TooManyLines
    order = _order(system, document)
    key = hashlib.sha256(order).hexdigest()
    return _kept.find(key) or _made(key, order)


def _made(key: str, order: bytes) -> bytes:
    if not _presses.acquire(timeout=WITHIN_S):
        raise TooManyDocuments
    try:
        pdf = _kept.find(key) or _typeset(order)
    finally:
        _presses.release()
    _kept.keep(key, pdf)
    return pdf


def _typeset(order: bytes) -> bytes:
    """In a process of its own, see `typesetting.py`."""
    command = [sys.executable, "-I", str(PROGRAM)]
    try:
        done = subprocess.run(  # noqa: S603 - our own program; what people typed goes in as data
            command, input=order, capture_output=True, timeout=WITHIN_S, check=True, env={}
        )
    except subprocess.TimeoutExpired as late:
        raise TakesTooLong from late
    return done.stdout


def _order(system: System, document: Document) -> bytes:
    data = {**template_data(document), "date": _date(document.as_of), "logo": _logo(system, document)}
    order = {"template": str(TEMPLATE), "fonts": [str(inter().parent)], "data": json.dumps(data, sort_keys=True)}
    return json.dumps(order, sort_keys=True).encode()


def _date(moment: datetime) -> list[int]:
    moment = moment.astimezone(UTC)
    return [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second]


def _logo(system: System, document: Document) -> Any:
    found = seller.logo(system.engine, document.seller.logo) if document.seller.logo else None
    return list(found.content) if found else None
