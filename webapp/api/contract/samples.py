"""Examples of answers: values of a made-up bill, written by what writes the answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from billing import money
from billing.bill import Bill, BilledCustomer, BillStatus, Customer, LineItem
from billing.clock import rfc3339
from billing.ledger import feed, public_events
from billing.ledger.events import Event, LogPosition
from billing.ledger.import_reports import ReportedRow
from billing.ledger.imports import Import
from billing.ledger.rate_choice import RateChoice
from billing.ledger.requests import StoredRequest
from billing.ledger.webhook_endpoints import WebhookEndpoint
from billing.ledger.webhook_log import AttemptMade, Delivery
from billing.origin import Actor, ActorKind
from billing.period import Period
from billing.rates import RateSnapshot, convert
from webapp.api import render
from webapp.api.contract.schemas import COMPONENTS, Schema
from webapp.api.explanations import explanation
from webapp.queries import ReadBill
from webapp.rates import RatesInUse

_BILL = UUID("0199d3a0-5c1e-7a40-8f0e-5d1c2b3a4f50")
_ITEM = UUID("0199d3a1-7f20-7c31-9d5e-3f1f6f0f6a11")
_REQUEST = UUID("0199d3a1-9a02-7d10-b2c3-8e7f60514233")
_IMPORT = UUID("0199d3a3-2b11-7c90-a3d4-6e5f70819203")
_ENDPOINT = UUID("0199d3a2-1c44-7f02-9a6b-4d5e6f708192")
_SNAPSHOT = UUID("0199d39f-0e10-7b2a-a1b2-c3d4e5f60718")
_START = datetime(2026, 11, 1, tzinfo=UTC)
_ADDED = _START + timedelta(days=2, hours=9, microseconds=120_000)


def of_schema(schema: Schema) -> Any:
    """A value that fits: a component's sample where it has one, else put together from its parts."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _samples()[name] if name in _samples() else of_schema(COMPONENTS[name])
    if "properties" in schema:
        return {name: of_schema(schema["properties"][name]) for name in schema["required"]}
    if "items" in schema:
        return [of_schema(one) for one in schema["items"].get("oneOf", [schema["items"]])]
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    return False if schema["type"] == "boolean" else schema.get("minimum")


@cache
def _samples() -> Mapping[str, Any]:
    """By component."""
    bill = _bill()
    listed = json.loads(render.bill(_read(bill)))
    item = json.loads(render.line_item(_line_item()))
    event, public_event = json.loads(render.event(_event())), _public_event()
    error = {"reason": "required", "field": "description", "request_id": str(_REQUEST)}
    envelope = {"code": "invalid_argument", "message": "description is required", "details": error}
    endpoint = render.webhook_endpoint(_endpoint())
    return {
        "Bill": {**listed, "line_items": [item], "next_cursor": None},
        "ListedBill": listed,
        "LineItem": item,
        "LineItemRequest": json.loads(render.line_item_request(_line_item_request())),
        "Customer": json.loads(render.customer(_customer(bill))),
        "Event": event,
        "PublicEvent": public_event,
        "Error": envelope,
        "RejectedRow": {"index": 1, "outcome": "rejected", "error": envelope},
        "TriedRow": {"index": 2, "outcome": "added", "total": item["total"]},
        "Preview": {"added": 1, "item_count": 2, "by_currency": {"GEL": "7.2"}},
        "Explanation": {**explanation(_read(bill), _choice(), timedelta(days=1)), "line_items": [item]},
        "ExportedBill": render.stored_bill(bill, bill.payables),
        "ExportedLineItem": {**item, "customer_id": bill.customer.external_id},
        "ExportedEvent": {"bill_id": str(_BILL), **event},
        "Import": render.import_(_import()),
        "ReportedRow": render.reported_row(_reported_row()),
        "WebhookEndpoint": endpoint,
        "IssuedWebhookEndpoint": {**endpoint, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwf8BPjvTxWvA="},
        "WebhookDelivery": render.webhook_delivery(_delivery(public_event)),
        "Rates": {
            **render.rates_in_use(_rates()),
            "base": "USD",
            "age_seconds": 1_800,
            "rates": {code: money.plain(rate) for code, rate in _snapshot().rates.items()},
        },
        "AcceptedRates": {"snapshot_id": str(_SNAPSHOT), "state": "accepted"},
        "Currencies": {"offered": ["GEL", "USD"], "configured": ["EUR", "GEL", "USD"], "version": 3},
    }


def _bill() -> Bill:
    return Bill(
        id=_BILL,
        customer=BilledCustomer(UUID(int=1), "hung", "Hung Ltd", "1 Ledger Lane\n0102 Tbilisi"),
        status=BillStatus.OPEN,
        period=Period(_START, _START + timedelta(days=30)),
        version=2,
        item_count=1,
        subtotals=(("GEL", _line_item().total),),
        created_at=_START,
        updated_at=_ADDED,
    )


def _read(bill: Bill) -> ReadBill:
    rates, payables = _rates(), bill.payables
    return ReadBill(bill, rates, payables, (convert(payables, rates.snapshot, money.currency("GEL")),))


def _rates() -> RatesInUse:
    return RatesInUse(_snapshot(), stale=False, frozen=False, as_of=_ADDED)


def _snapshot() -> RateSnapshot:
    hour = _ADDED.replace(minute=0, microsecond=0)
    per_usd = {"EUR": Decimal("0.8596"), "GEL": Decimal("2.7052"), "USD": Decimal(1)}
    return RateSnapshot(_SNAPSHOT, "openexchangerates", "USD", hour, hour + timedelta(minutes=2), per_usd)


def _line_item() -> LineItem:
    quantity, unit_price = Decimal(6), Decimal("0.6")
    total = money.line_total(quantity, unit_price)
    return LineItem(_BILL, _ITEM, 1, "Card payments", "GEL", quantity, unit_price, total, _ADDED, added_in_version=2)


def _choice() -> RateChoice:
    return RateChoice(_snapshot().fetched_at, None)


def _line_item_request() -> StoredRequest:
    decided = _ADDED + timedelta(milliseconds=40)
    return StoredRequest(_REQUEST, _BILL, "added", _ITEM, None, _ADDED, decided, str(_REQUEST), _BILL)


def _customer(bill: Bill) -> Customer:
    billed = bill.customer
    return Customer(
        billed.id, billed.external_id, billed.name, "billing@hung.example", billed.billing_address, 1, _START, _START
    )


def _event() -> Event:
    actor = Actor(ActorKind.API_KEY, str(UUID(int=2)), "ledger-sync")
    data = {"period_start": rfc3339(_START), "period_end": rfc3339(_START + timedelta(days=30))}
    return Event("bill", _BILL, 1, "bill.created", actor, str(_REQUEST), data, _START, LogPosition(7_100, 42))


def _public_event() -> Mapping[str, Any]:
    event = _event()
    return public_events.projected(event, _bill().customer.external_id, feed.written(0, event.position), test=False)


def _import() -> Import:
    actor, digest = Actor(ActorKind.API_KEY, str(UUID(int=2)), "ledger-sync"), bytes(range(32))
    done = _ADDED + timedelta(seconds=12)
    return Import(
        _IMPORT, UUID(int=2), actor, _BILL, "ndjson", digest, "done", 100_000, 99_998, 1, 1, _ADDED, _ADDED, done, True
    )


def _reported_row() -> ReportedRow:
    return ReportedRow(1, 1, "added", _BILL, _ITEM, "sync-2291-7", None, None, None, None, None, None)


def _endpoint() -> WebhookEndpoint:
    return WebhookEndpoint(
        id=_ENDPOINT,
        url="https://hooks.acme.example/pave",
        types=("bill.created", "bill.closed"),
        status="active",
        paused_reason=None,
        paused_at=None,
        failing_since=None,
        previous_secret_until=None,
        version=1,
        created_at=_START,
        updated_at=_START,
    )


def _delivery(event: Mapping[str, Any]) -> Delivery:
    sent = _START + timedelta(milliseconds=600)
    made = AttemptMade(1, sent, 204, 38, "", None)
    return Delivery(1, event["id"], event["type"], _START, "delivered", 1, _START, None, sent, [made])
