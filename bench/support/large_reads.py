"""What staff and integrators read of many bills: each as a page and as a call of the API."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from flask import Flask

from bench.support import staff
from bench.support.stack import Stack
from bench.support.turns import Asked, Request
from webapp.api import cursors

ROWS = 50
FILTERS = ("customer_id", "status", "currency", "from", "to", "q")
DRAWN = 100


class Reads:
    """`ways` by name; what they ask for is drawn from the rows that are there."""

    def __init__(self, stack: Stack, web: str, url: str) -> None:
        self._stack, self._port = stack, stack.ports[web]
        self._database = stack.connect(url)
        self._key = {"Authorization": f"Bearer {stack.api_key_of(url)}"}
        self.staff = staff.signed_in(stack, web, url)
        self._bills = itertools.cycle(self._drawn("SELECT id FROM bills ORDER BY md5(id::text) LIMIT %s"))
        self._numbers = itertools.cycle(
            self._drawn("SELECT number FROM bills WHERE number IS NOT NULL ORDER BY md5(id::text) LIMIT %s")
        )
        customers = "FROM customers ORDER BY md5(id::text) LIMIT %s"
        self._customers = itertools.cycle(self._drawn(f"SELECT external_id {customers}"))
        # After which the last page begins.
        self._deepest = str(
            self._database.execute(f"SELECT id FROM bills ORDER BY id OFFSET {ROWS} LIMIT 1").fetchone()[0]
        )
        self._deepest_cursor = self._signed(self._deepest)
        self.ways: Mapping[str, Asked] = {
            **{f"page: {name}": Asked(self._port, self._page(ask)) for name, ask in self._pages().items()},
            **{f"API: {name}": Asked(self._port, self._call(ask)) for name, ask in self._calls().items()},
        }

    def _pages(self) -> dict[str, Callable[[], str]]:
        return {
            "list": lambda: _path("/bills"),
            "open bills": lambda: _path("/bills", status="open"),
            "a customer's bills": lambda: _path("/bills", customer=next(self._customers)),
            "bills in a rare currency": lambda: _path("/bills", currency="JPY"),
            "bills of a month": lambda: _path("/bills", **self._month(as_day=True)),
            "closed, of a month, in USD": lambda: _path(
                "/bills", status="closed", currency="USD", **self._month(as_day=True)
            ),
            "search for a customer": lambda: _path("/bills", q=next(self._customers)),
            "search for a frequent word": lambda: _path("/bills", q="copper"),
            "search for a number": lambda: _path("/bills", q=f"no. {next(self._numbers)}"),
            "by number": lambda: _path("/bills", sort="-number"),
            "by customer": lambda: _path("/bills", sort="customer"),
            "deepest page": lambda: _path("/bills", after=self._deepest),
            "one bill": lambda: f"/bills/{next(self._bills)}",
            "overview": lambda: "/",
        }

    def _calls(self) -> dict[str, Callable[[], str]]:
        path = "/api/v1/bills"
        return {
            "list": lambda: _path(path, limit=ROWS),
            "open bills": lambda: _path(path, limit=ROWS, status="open"),
            "a customer's bills": lambda: _path(path, limit=ROWS, customer_id=next(self._customers)),
            "bills in a rare currency": lambda: _path(path, limit=ROWS, currency="JPY"),
            "bills of a month": lambda: _path(path, limit=ROWS, **self._month()),
            "search for a customer": lambda: _path(path, limit=ROWS, q=next(self._customers)),
            "search for a frequent word": lambda: _path(path, limit=ROWS, q="copper"),
            "deepest page": lambda: _path(path, limit=ROWS, cursor=self._deepest_cursor),
            "one bill": lambda: f"{path}/{next(self._bills)}",
        }

    def _page(self, ask: Callable[[], str]) -> Callable[[], Request]:
        return lambda: self.staff.get(ask())

    def _call(self, ask: Callable[[], str]) -> Callable[[], Request]:
        return lambda: Request(ask(), self._key)

    def _drawn(self, query: str) -> list[object]:
        return [row[0] for row in self._database.execute(query.encode(), [DRAWN])]

    def _signed(self, bill_id: str) -> str:
        """As the API signs it: paging there would take thousands of calls."""
        app = Flask("cursor")
        app.secret_key = self._stack.environment["SECRET_KEY"]
        with app.app_context():
            return cursors.sign(bill_id, "bills", *(None for _ in FILTERS))

    @staticmethod
    def _month(*, as_day: bool = False) -> dict[str, str]:
        """A year ago."""
        begin = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=365)
        end = begin + timedelta(days=30)
        instants = (f"{begin:%Y-%m-%d}", f"{end:%Y-%m-%d}") if as_day else (begin.isoformat(), end.isoformat())
        return dict(zip(("from", "to"), instants, strict=True))


def _path(path: str, **arguments: object) -> str:
    return f"{path}?{urlencode(arguments)}" if arguments else path
