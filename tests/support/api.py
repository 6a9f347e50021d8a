"""A caller of the JSON API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from billing.clock import rfc3339

PATH = "/api/v1"
HUNG = {"description": "hung", "quantity": 6, "unit_price": 0.6, "currency": "GEL"}


@dataclass
class Api:
    client: FlaskClient
    key: str | None = None

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.call("GET", path, None, headers)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Header names are written with underscores: Idempotency_Key="a"."""
        return self.call("POST", path, body, headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.call("PATCH", path, body, headers)

    def call(self, method: str, path: str, body: Any, headers: dict[str, str]) -> TestResponse:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        content: dict[str, Any] = {} if body is None else {"json": body}
        if isinstance(body, bytes):
            content = {"data": body, "content_type": given.pop("Content-Type", "application/json")}
        return self.client.open(PATH + path, method=method, headers={**self.credentials, **given}, **content)

    @property
    def credentials(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def opened(self, customer_id: str | None = None, **period: str) -> str:
        """A new bill's id; its customer is a new one."""
        answer = self.post("/bills", bill_body(customer_id, **period))
        assert answer.status_code == 200, answer.text
        return str(answer.json["data"]["id"])

    def added(self, bill_id: str, **values: Any) -> dict[str, Any]:
        """A new line item."""
        answer = self.post(f"/bills/{bill_id}/line-items", {**HUNG, **values})
        assert answer.status_code == 200, answer.text
        item: dict[str, Any] = answer.json["line_item"]
        return item

    def bill(self, bill_id: str, query: str = "") -> dict[str, Any]:
        answer = self.get(f"/bills/{bill_id}{query}")
        assert answer.status_code == 200, answer.text
        bill: dict[str, Any] = answer.json["data"]
        return bill


def bill_body(customer_id: str | None = None, **period: str) -> dict[str, str]:
    body = {"customer_id": customer_id or f"customer-{uuid4().hex[:12]}"}
    return {**body, "period_start": in_days(-1), "period_end": in_days(30), **period}


def in_days(days: float) -> str:
    return rfc3339(datetime.now(UTC) + timedelta(days=days))
