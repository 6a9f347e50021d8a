"""Webhook endpoints for tests, and what delivers to them without Temporal."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine, text

from billing.ledger import line_items, webhook_endpoints
from billing.ledger.webhook_endpoints import WebhookEndpoint
from billing.origin import Origin
from billing.sealing import Seal
from billing.webhooks import Patience, new_secret
from tests.support.ledger import draft
from workflows.delivering import Delivering, Round, purpose
from workflows.outgoing import Policy

SECRET_KEY = "a secret of the tests"
IMPATIENT = Patience(first=timedelta(milliseconds=20), longest=timedelta(milliseconds=200))
LOCAL = Policy(allow_http=True, allow_private=True, timeout_s=1)


def sealed(secret: str, secret_key: str = SECRET_KEY):
    return lambda endpoint_id: Seal(secret_key).close(purpose(endpoint_id), secret)


def made_endpoint(
    engine: Engine, origin: Origin, url: str, types: tuple[str, ...] | None = None, *, secret_key: str = SECRET_KEY
) -> tuple[WebhookEndpoint, str]:
    """An endpoint and its secret."""
    secret = new_secret()
    return webhook_endpoints.create(engine, origin, url, types, sealed(secret, secret_key))[0], secret


def delivering(engine: Engine, patience: Patience = IMPATIENT, policy: Policy = LOCAL) -> Delivering:
    return Delivering(engine, SECRET_KEY, policy, patience)


def rounds(by: Delivering, endpoint: WebhookEndpoint, origin: Origin, *, within_s: float = 60) -> list[Round]:
    """Until nothing is queued, or the endpoint is done with."""
    deadline, made = time.monotonic() + within_s, list[Round]()
    while True:
        made.append(by.round(endpoint.id, origin))
        if made[-1].is_over or made[-1].wait is None:
            return made
        assert time.monotonic() < deadline
        time.sleep(min(made[-1].wait.total_seconds(), 0.5))


def added(engine: Engine, origin: Origin, bill_id: UUID, count: int = 1) -> None:
    for _ in range(count):
        line_items.add(engine, origin, bill_id, draft())


def standing(engine: Engine, endpoint_id: UUID) -> dict[str, int]:
    """How many deliveries there are in each state."""
    query = "SELECT status, count(*) AS n FROM webhook_deliveries WHERE endpoint_id = :id GROUP BY status"
    with engine.connect() as connection:
        return {row.status: row.n for row in connection.execute(text(query), {"id": endpoint_id})}


def later(engine: Engine, by: timedelta) -> None:
    """As if so much time had passed since what is stored."""
    with engine.begin() as connection:
        for column in ("next_attempt_at", "give_up_at", "queued_at", "finished_at"):
            connection.execute(text(f"UPDATE webhook_deliveries SET {column} = {column} - :by"), {"by": by})
        for column in ("failing_since", "rests_until", "due_at", "previous_secret_until", "paused_at"):
            connection.execute(text(f"UPDATE webhook_endpoints SET {column} = {column} - :by"), {"by": by})
