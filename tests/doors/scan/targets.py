"""What sqlmap is let loose on: every parameter, field and part of an address of the API's document, and every form and
link with a query that the console's pages have. A `*` marks where it puts its text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import requests

from tests.support.page import Element, parse
from webapp.api.blueprint import PATH as API

MARK = "*"
MOST_PAGES = 150
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}")
# Right ones, so that what is tried in one isn't refused for another.
VALUES = {
    "base": "USD", "currency": "USD", "customer_id": "mtkvari-freight", "format": "csv", "from": "2026-01-01T00:00:00Z",
    "limit": "5", "Prefer": "respond-async", "q": "mtkvari", "status": "open", "to": "2030-01-01T00:00:00Z",
    "type": "bill.created", "wait": "0", "Idempotency-Key": "key",
}  # fmt: skip
# Signed, or ids of events: whatever is put there is refused, so each has a request of its own.
ALONE = ("after", "cursor", "Idempotency-Key", "Prefer")
# Not to be guessed; and another one each time, since the same with other values would be refused for that.
KEPT = ("csrf_token", "idempotency_key")
# Signing oneself out, or taking from oneself what is needed for the rest.
LEFT_ALONE = re.compile(r"/session|/settings/account|/settings/users|/settings/api-keys/[^/]+/revocation")


@dataclass(frozen=True)
class Target:
    """`query`, `form` and `body` have values with marks in them."""

    name: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    body: Any = None

    def raw(self, host: str, common: Mapping[str, str]) -> str:
        """The request as sqlmap reads it from a file."""
        query = f"?{urlencode(self.query, safe=MARK)}" if self.query else ""
        headers, content = {"Host": host, **common, **self.headers}, ""
        if self.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            content = urlencode(self.form, safe=MARK)
        if self.body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(self.body)
        lines = [f"{self.method} {self.path}{query} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", content])

    @property
    def marks(self) -> int:
        values = [self.path, *self.query.values(), *self.headers.values(), *(self.form or {}).values()]
        return sum(value.count(MARK) for value in values) + json.dumps(self.body).count(MARK)


def of_document(document: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Target]:
    """Those that delete or close come last."""
    calls = [
        (method.upper(), path, call)
        for path, calls in document["paths"].items()
        for method, call in calls.items()
        if method != "parameters"
    ]
    for method, path, call in sorted(calls, key=lambda one: (one[0] == "DELETE", one[1].endswith("/close"))):
        yield from _of_call(method, path, call, names)


def _of_call(method: str, path: str, call: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Target]:
    name = f"{method} {path}"
    ids = {**names, "bill_id": names["spare"], "customer_id": "mtkvari-freight", "endpoint_id": names["webhook"]}
    ids |= {"item_id": names["item"]} | dict.fromkeys(("import_id", "request_id", "snapshot_id"), names["nobody"])
    filled = re.sub(r"{(\w+)}", lambda found: quote(ids[found[1]]) + MARK, f"{API}{path}")
    plain = filled.replace(MARK, "")
    by_place: dict[str, dict[str, str]] = {"query": {}, "header": {}, "path": {}}
    for parameter in call.get("parameters", ()):
        by_place[parameter["in"]][parameter["name"]] = _value(parameter["name"], names) + MARK
    body = call.get("requestBody", {}).get("content", {}).get("application/json", {})
    sent = body.get("example", {} if body else None)
    together = {name: value for name, value in by_place["query"].items() if name not in ALONE}
    headers = {name: value for name, value in by_place["header"].items() if name not in ALONE}
    first = Target(name, method, filled, together, headers, body=_marked(sent))
    if first.marks:
        yield first
    for place in ("query", "header"):
        for alone in sorted(by_place[place].keys() & set(ALONE)):
            value = {alone: by_place[place][alone]}
            where = {"query": value} if place == "query" else {"headers": value}
            yield Target(f"{name}, {alone}", method, plain, body=sent, **where)  # type: ignore[arg-type]


def _value(name: str, names: Mapping[str, str]) -> str:
    return names["accruing"] if name == "bill_id" else VALUES.get(name, "1")


def _marked(value: Any) -> Any:
    """Every text of a body."""
    if isinstance(value, dict):
        return {name: _marked(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_marked(one) for one in value]
    return f"{value}{MARK}" if isinstance(value, str) else value


def of_pages(browser: requests.Session, url: str, starts: Sequence[str]) -> Sequence[Target]:
    """Found by following links; of those that differ in their ids alone the first."""
    waiting, seen = [*starts], set(starts)
    found: dict[str, Target] = {}
    while waiting and len(seen) <= MOST_PAGES:
        address = waiting.pop(0)
        answer = browser.get(url + address, timeout=30)
        for target in _ids(address):
            found.setdefault(target.name, target)
        if answer.headers.get("Content-Type", "").partition(";")[0] != "text/html" or not answer.ok:
            continue
        page = parse(answer.text)
        for target in (*_forms(page, urlsplit(answer.url).path), *_queries(page)):
            found.setdefault(target.name, target)
        for link in page.all("a"):
            to = link.attributes.get("href", "")
            if to.startswith("/") and not to.startswith("//") and _kind(to) not in seen:
                seen.add(_kind(to))
                waiting.append(to)
    return [
        target
        for target in found.values()
        if not LEFT_ALONE.search(target.path) and not any(_is_part(target, other) for other in found.values())
    ]


def _is_part(one: Target, other: Target) -> bool:
    """Whether the other has all that it asks for, and more."""
    is_same_page = (one.method, _kind(one.path)) == ("GET", _kind(other.path)) and other.method == "GET"
    return is_same_page and bool(one.query) and one.query.keys() < other.query.keys()


def _ids(address: str) -> Iterator[Target]:
    path = urlsplit(address).path
    if _ID.search(path) or path.startswith("/b/"):
        marked = _ID.sub(lambda found: found[0] + MARK, path) if _ID.search(path) else path + MARK
        yield Target(f"GET {_kind(path)} by id", "GET", marked)


def _kind(address: str) -> str:
    """An address without its ids, and its query's names alone."""
    parts = urlsplit(address)
    return f"{_ID.sub('', parts.path)}?{'&'.join(sorted(name for name, _ in parse_qsl(parts.query)))}"


def _forms(page: Element, here: str) -> Iterator[Target]:
    for action in dict.fromkeys(form.attributes.get("action", "") for form in page.all("form")):
        form = page.all("form", action=action)[-1] if action else None
        if form is None:
            continue
        values = page.form(action)
        marked = {name: value if name in KEPT else value + MARK for name, value in values.items()}
        method = form.attributes.get("method", "get").upper()
        path = urlsplit(action).path or here
        name = f"{method} {_kind(path)} {' '.join(sorted(values))}"
        if any(MARK in value for value in marked.values()):
            where = {"query": marked} if method == "GET" else {"form": marked}
            yield Target(name, method, path, **where)  # type: ignore[arg-type]


def _queries(page: Element) -> Iterator[Target]:
    addresses = [
        element.attributes.get(name, "")
        for element in page
        for name in ("href", "hx-get")
        if name in element.attributes
    ]
    for address in addresses:
        parts = urlsplit(address)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if query and address.startswith("/") and not parts.netloc:
            marked = {name: value + MARK for name, value in query.items()}
            yield Target(f"GET {_kind(address)}", "GET", parts.path, marked)
