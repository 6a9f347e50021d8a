"""The lines of a request: which ids they carry, from when on, and what is in none of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from billing.ledger import links
from billing.logs import configure
from billing.origin import Origin
from tests.support.ledger import OpenBill
from webapp.config import Config
from webapp.customer.tokens import token_of
from webapp.identity import api_keys
from webapp.identity.roles import Role

IN_A_MONTH = timedelta(days=30)
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def client(make_app: Callable[[Config], Flask], config: Config) -> Iterator[FlaskClient]:
    yield make_app(replace(config, log_level="INFO")).test_client()
    configure(config.log_level)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """What was said since the last time."""
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


@pytest.fixture
def key(engine: Engine) -> dict[str, str]:
    """The headers of an integrator whose key has a name that is in no line."""
    token = api_keys.create(engine, name=f"Nino's {uuid4().hex}", role=Role.OPERATOR)
    return {"Authorization": f"Bearer {token}"}


def test_what_a_view_says_names_the_request_its_bill_and_who_asked(
    client: FlaskClient, lines: Lines, key: dict[str, str], open_bill: OpenBill
) -> None:
    bill_id = str(open_bill().id)
    lines()
    client.post(f"/api/v1/bills/{bill_id}/close", headers={**key, "X-Request-Id": "close-1"})
    said = lines()

    # Temporal is out of reach, which the client in this process says in the request's own words.
    (of_the_view,) = [line for line in said if line["event"].startswith("close left to the sweep")]
    (of_the_request,) = [line for line in said if line["event"] == "request"]
    for line in (of_the_view, of_the_request):
        assert (line["request_id"], line["bill_id"]) == ("close-1", bill_id)
        assert line["actor"].startswith("api_key:")
    assert of_the_view["actor"] == of_the_request["actor"]
    assert "Nino" not in str(said)


def test_who_was_not_let_in_is_nobody_and_the_next_request_of_the_thread_starts_anew(
    client: FlaskClient, lines: Lines, key: dict[str, str], open_bill: OpenBill
) -> None:
    address = f"/api/v1/bills/{open_bill().id}"
    client.get(address, headers=key)
    lines()
    client.get(address)
    client.get("/healthz")
    refused, healthy = [line for line in lines() if line["event"] == "request"]

    assert (refused["status"], refused["actor"]) == (401, None)
    assert (healthy["route"], healthy["actor"], "bill_id" in healthy) == ("/healthz", None, False)


def test_a_bill_stands_in_the_lines_of_who_opens_it_and_of_who_follows_its_link(
    client: FlaskClient, config: Config, engine: Engine, origin: Origin, lines: Lines, key: dict[str, str]
) -> None:
    now = datetime.now(UTC)
    wanted = {"customer_id": "Nino", "period_start": now.isoformat(), "period_end": (now + IN_A_MONTH).isoformat()}
    bill_id = client.post("/api/v1/bills", json=wanted, headers=key).json["data"]["id"]
    link, _ = links.create(engine, origin, UUID(bill_id))
    client.get(f"/b/{token_of(config.secret_key, link.id)}")
    opening, following = [line for line in lines() if line["event"] == "request"]

    assert (opening["route"], opening["bill_id"]) == ("/api/v1/bills", bill_id)
    assert (following["route"], following["bill_id"], following["actor"]) == ("/b/<token>", bill_id, None)


def test_a_bill_stands_in_no_lines_while_nobody_knows_it(
    client: FlaskClient, lines: Lines, key: dict[str, str]
) -> None:
    client.get("/api/v1/bills/Nino-Beridze", headers=key)
    client.post("/api/v1/bills", json={}, headers=key)
    client.get("/b/a-token-of-a-link")
    said = [line for line in lines() if line["event"] == "request"]

    assert [line["route"] for line in said] == ["/api/v1/bills/<bill_id>", "/api/v1/bills", "/b/<token>"]
    assert not [line for line in said if "bill_id" in line]
    assert not [word for word in ("Beridze", "a-token") if word in str(said)]
