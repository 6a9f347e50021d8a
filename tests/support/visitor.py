"""A browser without script: pages, forms as they stand on them, redirects; or with htmx's headers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from tests.support.page import Element, parse

PASSWORD = "correct horse battery"
HTMX = {"HX-Request": "true"}


class Visitor:
    """`answer` is the last response; the methods return pages."""

    def __init__(self, client: FlaskClient):
        self.client = client
        self.answer: TestResponse

    def signed_in(self, email: str) -> Visitor:
        page = self.open("/session/new")
        self.send("/session", {**page.form("/session"), "email": email, "password": PASSWORD})
        assert self.answer.status_code == 303, self.answer.text
        return self

    def open(self, address: str, *, status: int = 200, htmx: bool = False) -> Element:
        self.answer = self.client.get(address, headers=HTMX if htmx else None)
        assert self.answer.status_code == status, self.answer.text
        return parse(self.answer.text)

    def send(self, address: str, values: dict[str, Any], *, status: int | None = None, htmx: bool = False) -> Element:
        """Follows no redirect: where it leads is in `went_to`."""
        data: dict[str, Any] | bytes = values
        content_type = None
        if any(isinstance(value, FileStorage) for value in values.values()):
            # The client itself would put a large one into a file that it leaves open.
            boundary, data = encode_multipart(values)
            content_type = f"multipart/form-data; boundary={boundary}"
        self.answer = self.client.post(address, data=data, content_type=content_type, headers=HTMX if htmx else None)
        assert status is None or self.answer.status_code == status, self.answer.text
        return Element("", {}) if self.answer.status_code == 303 else parse(self.answer.text)

    def submit(self, page_address: str, action: str, *, status: int | None = None, **typed: str) -> Element:
        """Opens a page, types into its form and sends it; on success the page after the redirect."""
        form = self.open(page_address).form(action)
        unknown = typed.keys() - form.keys()
        assert not unknown, f"the form has no {unknown}"
        page = self.send(action, {**form, **typed}, status=status)
        return self.open(self.went_to) if self.answer.status_code == 303 else page

    @property
    def went_to(self) -> str:
        address = urlsplit(self.answer.headers["Location"])
        return f"{address.path}?{address.query}" if address.query else address.path
