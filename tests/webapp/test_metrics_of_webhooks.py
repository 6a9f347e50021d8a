"""What a scrape says of webhooks: attempts by what came of them, what waits, what is paused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from sqlalchemy import Engine, text

from billing.ledger import webhook_endpoints
from billing.origin import Origin
from billing.settings import Settings
from billing.webhooks import Patience
from tests.support.ledger import OpenBill
from tests.support.scrapes import Scrape, read
from tests.support.webhook_receiver import WebhookReceiver
from tests.support.webhooks import delivering, later, made_endpoint
from workflows.database_gauges import DatabaseGauges

ATTEMPTS = "pave_webhook_attempt_seconds"


@pytest.fixture(autouse=True)
def _none_left(engine: Engine) -> Iterator[None]:
    yield
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM webhook_endpoints"))


def scraped(database_url: str) -> Scrape:
    registry = CollectorRegistry()
    registry.register(DatabaseGauges(Settings(database_url)))
    return read(generate_latest(registry).decode())


def attempts(outcome: str, of: str = "count") -> float:
    return REGISTRY.get_sample_value(f"{ATTEMPTS}_{of}", {"outcome": outcome}) or 0


def test_attempts_are_counted_by_what_came_of_them(engine: Engine, origin: Origin, open_bill: OpenBill) -> None:
    known = ("delivered", "refused", "timeout", "unreachable")
    before = {outcome: attempts(outcome) for outcome in known}
    with WebhookReceiver() as receiver:
        statuses = iter([200, 500, 404, None])
        receiver.answer = lambda _: next(statuses)
        made_at = [made_endpoint(engine, origin, receiver.url, ("bill.created",))[0] for _ in range(4)]
        open_bill()
        for endpoint in made_at:
            delivering(engine, Patience()).round(endpoint.id, origin)
        last = made_at[0]
    open_bill()
    delivering(engine, Patience()).round(last.id, origin)

    made = {outcome: attempts(outcome) - before[outcome] for outcome in known}
    assert made == {"delivered": 1, "refused": 2, "timeout": 1, "unreachable": 1}
    assert attempts("timeout", "sum") >= 0.9  # a second is what is waited for here


def test_what_waits_and_what_is_paused_is_told(
    engine: Engine, origin: Origin, open_bill: OpenBill, database_url: str
) -> None:
    quiet = scraped(database_url)
    assert (quiet.value("pave_webhooks_pending"), quiet.value("pave_webhooks_late_seconds")) == (0, 0)
    assert quiet.value("pave_webhook_endpoints_paused", reason="failing") == 0

    with WebhookReceiver(lambda _: 500) as receiver:
        endpoint, _ = made_endpoint(engine, origin, receiver.url, ("bill.created",))
        open_bill()
        delivering(engine, Patience()).round(endpoint.id, origin)
    later(engine, timedelta(minutes=10))
    late = scraped(database_url)
    webhook_endpoints.pause(engine, origin, endpoint.id)
    paused = scraped(database_url)

    assert late.value("pave_webhooks_pending") == 1
    assert 500 < late.value("pave_webhooks_late_seconds") < 660
    assert paused.value("pave_webhook_endpoints_paused", reason="by_hand") == 1
    assert paused.value("pave_webhook_endpoints_paused", reason="failing") == 0
