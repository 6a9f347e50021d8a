"""A member of the staff in front of a browser: signed in, with what the forms of a page carry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from bench.support.stack import Stack
from bench.support.turns import Asker, Request
from billing.ledger.engines import create_engine
from webapp.identity import user_changes
from webapp.identity.roles import Role

EMAIL = "operator@example.com"
PASSWORD = "correct horse battery"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HTMX = {"HX-Request": "true"}
_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass(frozen=True)
class Staff:
    """An operator's session with the web at `port`."""

    port: int
    cookie: str
    csrf_token: str

    def get(self, path: str, *, htmx: bool = False) -> Request:
        return Request(path, {"Cookie": self.cookie, **(HTMX if htmx else {})})

    def post(self, path: str, values: Mapping[str, str]) -> Request:
        """As htmx sends a form."""
        body = urlencode({"csrf_token": self.csrf_token, "page_user": EMAIL, **values}).encode()
        return Request(path, {"Cookie": self.cookie, **FORM, **HTMX}, "POST", body)


def signed_in(stack: Stack, web: str = "system", url: str = "") -> Staff:
    """A new operator in the database at `url`, which `web` serves; each database has one at most."""
    engine = create_engine(url or stack.urls["system"])
    try:
        user_changes.create(engine, email=EMAIL, password=PASSWORD, role=Role.OPERATOR)
    finally:
        engine.dispose()
    port = stack.ports[web]
    with Asker() as asker:
        blank = asker.answer(port, Request("/session/new", {}))
        values = {"csrf_token": _csrf_token(blank.text), "email": EMAIL, "password": PASSWORD, "next": "/"}
        headers = {"Cookie": blank.cookie, **FORM}
        begun = asker.answer(port, Request("/session", headers, "POST", urlencode(values).encode()), status=303)
        page = asker.answer(port, Request("/bills/new", {"Cookie": begun.cookie}))
        # The page sets what its forms are held against.
        return Staff(port, page.cookie or begun.cookie, _csrf_token(page.text))


def _csrf_token(page: str) -> str:
    found = _CSRF.search(page)
    if found is None:
        raise RuntimeError("the page has no form")
    return found[1]


NOBODY = Staff(0, "", "")
