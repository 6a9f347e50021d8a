"""The API's values as JSON text. Decimals are strings; instants are UTC with six decimals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask import Response, g

from billing import money
from billing.bill import Bill, Customer, LineItem
from billing.clock import rfc3339
from billing.ledger.events import Event
from billing.ledger.import_reports import ReportedRow
from billing.ledger.imports import Import
from billing.ledger.requests import StoredRequest
from billing.ledger.webhook_endpoints import WebhookEndpoint
from billing.ledger.webhook_log import Delivery
from billing.money import Payable
from billing.rates import Conversion
from webapp.api.errors import envelope
from webapp.queries import ReadBill
from webapp.rates import RatesInUse

MICROSECOND = timedelta(microseconds=1)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
to_json = _ENCODER.encode


def answer(parts: Mapping[str, str], *, status: int = 200, replayed: bool = False) -> Response:
    """An object whose members are JSON text already."""
    members = ",".join(f'"{name}":{text}' for name, text in parts.items())
    response = Response(f"{{{members}}}\n", status=status, mimetype="application/json")
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def array(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"


def bill(read: ReadBill, line_items: str | None = None, next_cursor: str | None = None) -> str:
    """A Bill; `line_items` is a JSON array, and None leaves the items and their cursor out."""
    value = _bill(read)
    if line_items is None:
        return to_json(value)
    return f'{to_json(value)[:-1]},"line_items":{line_items},"next_cursor":{to_json(next_cursor)}}}'


def _bill(read: ReadBill) -> dict[str, Any]:
    value = stored_bill(read.bill, read.payables)
    rates = rates_in_use(read.rates)
    value["total"]["converted"] = {
        conversion.to.code: _conversion(conversion, rates) for conversion in read.conversions
    }
    value["rates"] = rates
    return value


def stored_bill(bill: Bill, payables: Iterable[Payable]) -> dict[str, Any]:
    """Without what rates have a part in."""
    value: dict[str, Any] = {
        "id": str(bill.id),
        "customer_id": bill.customer.external_id,
        "customer": {"name": bill.customer.name, "billing_address": bill.customer.billing_address},
        "status": bill.status,
        "test": bill.test,
        "period_start": rfc3339(bill.period.start),
        "period_end": rfc3339(bill.period.end),
        "workflow_id": bill.workflow_id,
        "version": bill.version,
        "item_count": bill.item_count,
        "created_at": rfc3339(bill.created_at),
        "updated_at": rfc3339(bill.updated_at),
    }
    value.update(_closing(bill))
    value["total"] = {"by_currency": {code: money.plain(amount) for code, amount in bill.subtotals}}
    value["payable"] = {
        payable.currency.code: {
            "amount": money.plain_minor(payable.amount, payable.currency),
            "rounding": money.plain(payable.rounding),
        }
        for payable in payables
    }
    return value


def _closing(bill: Bill) -> dict[str, Any]:
    """What only some bills have: test ones, those that are closing, closed ones."""
    value: dict[str, Any] = {}
    if bill.clock_ahead is not None:
        value["clock_ahead_seconds"] = money.plain(Decimal(bill.clock_ahead // MICROSECOND).scaleb(-6))
    for name in ("close_requested_at", "effective_at", "closed_at"):
        instant = getattr(bill, name)
        if instant is not None:
            value[name] = rfc3339(instant)
    if bill.close_reason is not None:
        value["close_reason"] = bill.close_reason
    if bill.number is not None:
        value["number"] = bill.number
    if bill.seller is not None:
        value["seller"] = {
            "name": bill.seller.name,
            "address": bill.seller.address,
            "tax_id": bill.seller.tax_id,
        }
    return value


def _conversion(conversion: Conversion, rates: Mapping[str, Any]) -> dict[str, Any]:
    """`rates` are those it used, as they are told: with their instant."""
    if conversion.amount is None:
        return {"amount": None, "reason": conversion.reason, "missing": list(conversion.missing)}
    amount = money.plain_minor(conversion.amount, conversion.to)
    return {"amount": amount, "rate_updated_at": rates.get("updated_at")}


def rates_in_use(rates: RatesInUse) -> dict[str, Any]:
    """Which rates the conversions beside it used; `frozen` ones never change again."""
    snapshot = rates.snapshot
    if snapshot is None:
        return {"snapshot_id": None, "frozen": rates.frozen}
    return {
        "snapshot_id": str(snapshot.id),
        "provider": snapshot.provider,
        "updated_at": rfc3339(snapshot.provider_time),
        "fetched_at": rfc3339(snapshot.fetched_at),
        "sample": snapshot.sample,
        "stale": rates.stale,
        "frozen": rates.frozen,
    }


def line_item(item: LineItem) -> str:
    """Written out, as batches have a thousand of them: what people wrote is the only text that needs escaping."""
    further = ""
    if item.reverses is not None:
        further = f',"reverses":"{item.reverses}","reason":{to_json(item.reason or "")}'
    elif item.reference is not None:
        further = f',"source":{to_json(item.source)},"reference":{to_json(item.reference)}'
    return (
        f'{{"id":"{item.id}","bill_id":"{item.bill_id}","position":{item.position},'
        f'"description":{to_json(item.description)},"currency":"{item.currency}",'
        f'"quantity":"{money.plain(item.quantity)}","unit_price":"{money.plain(item.unit_price)}",'
        f'"total":"{money.plain(item.total)}","created_at":"{rfc3339(item.created_at)}"{further}}}'
    )


def line_item_request(stored: StoredRequest) -> str:
    value: dict[str, Any] = {
        "id": str(stored.id),
        "bill_id": str(stored.bill_id),
        "state": stored.state,
        "created_at": rfc3339(stored.created_at),
    }
    if stored.decided_at is not None:
        value["decided_at"] = rfc3339(stored.decided_at)
    if stored.item_id is not None:
        value["line_item_id"], value["line_item_bill_id"] = str(stored.item_id), str(stored.item_bill_id)
    if stored.error is not None:
        details = {"reason": stored.error["reason"], "request_id": g.request_id}
        value["error"] = envelope(stored.error["code"], stored.error["message"], details)
    return to_json(value)


def customer(customer: Customer) -> str:
    return to_json(
        {
            "id": customer.external_id,
            "name": customer.name,
            "email": customer.email,
            "billing_address": customer.billing_address,
            "version": customer.version,
            "created_at": rfc3339(customer.created_at),
            "updated_at": rfc3339(customer.updated_at),
        }
    )


def event(event: Event) -> str:
    return to_json(
        {
            "type": event.type,
            "version": event.version,
            "occurred_at": rfc3339(event.occurred_at),
            "actor": {"kind": event.actor.kind, "id": event.actor.id, "name": event.actor.name},
            "request_id": event.request_id,
            "data": dict(event.data),
        }
    )


def webhook_endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """`types` is null where it is told of all events."""
    return {
        "id": str(endpoint.id),
        "url": endpoint.url,
        "types": list(endpoint.types) if endpoint.types else None,
        "status": endpoint.status,
        "paused_reason": endpoint.paused_reason,
        "paused_at": endpoint.paused_at and rfc3339(endpoint.paused_at),
        "failing_since": endpoint.failing_since and rfc3339(endpoint.failing_since),
        "previous_secret_until": endpoint.previous_secret_until and rfc3339(endpoint.previous_secret_until),
        "version": endpoint.version,
        "created_at": rfc3339(endpoint.created_at),
        "updated_at": rfc3339(endpoint.updated_at),
    }


def webhook_delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "event_id": delivery.event_id,
        "type": delivery.type,
        "occurred_at": rfc3339(delivery.occurred_at),
        "status": delivery.status,
        "queued_at": rfc3339(delivery.queued_at),
        "next_attempt_at": delivery.next_attempt_at and rfc3339(delivery.next_attempt_at),
        "finished_at": delivery.finished_at and rfc3339(delivery.finished_at),
        "attempt_count": delivery.attempts,
        "attempts": [
            {
                "attempt": made.attempt,
                "attempted_at": rfc3339(made.attempted_at),
                "status": made.status,
                "latency_ms": made.latency_ms,
                "excerpt": made.excerpt,
                "error": made.error,
            }
            for made in delivery.made
        ],
    }


def import_(one: Import) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "bill_id": one.bill_id and str(one.bill_id),
        "state": one.state,
        "format": one.format,
        "sha256": one.digest.hex(),
        "rows": one.rows,
        "done": one.done,
        "added": one.added,
        "replayed": one.replayed,
        "rejected": one.rejected,
        "created_at": rfc3339(one.created_at),
        "started_at": one.started_at and rfc3339(one.started_at),
        "finished_at": one.finished_at and rfc3339(one.finished_at),
        "has_report": one.is_kept,
    }


def reported_row(row: ReportedRow) -> dict[str, Any]:
    return {
        "row": row.number,
        "line": row.line,
        "outcome": row.outcome,
        "bill_id": row.bill_id and str(row.bill_id),
        "line_item_id": row.item_id and str(row.item_id),
        "key": row.key,
        "source": row.source,
        "reference": row.reference,
        "code": row.code,
        "reason": row.reason,
        "field": row.field,
        "message": row.message,
    }
