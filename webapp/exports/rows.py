"""Bills, items and events as rows of CSV. Figures are exact and plain, so that they stay figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from billing import money
from billing.bill import Bill
from billing.clock import rfc3339
from billing.ledger.events import Event
from billing.ledger.exports import ExportedItem
from billing.money import Payable
from webapp import csv_text
from webapp.formatting import plain

Row = tuple[str, ...]

OF_THE_BILL = (
    "number", "bill_id", "customer_id", "customer_name", "status", "period_start", "period_end", "lines",
    "created_at", "cut_off", "closed_at", "close_reason",
)  # fmt: skip
OF_THE_CURRENCY = ("currency", "subtotal", "rounding", "payable")
BILLS = (*OF_THE_BILL, *OF_THE_CURRENCY)
LINE_ITEMS = (
    "bill_id", "customer_id", "line", "item_id", "description", "quantity", "unit_price", "amount", "currency",
    "added_at", "reverses", "reason", "source", "reference",
)  # fmt: skip
EVENTS = (
    "bill_id", "version", "type", "occurred_at", "actor_kind", "actor_id", "actor_name", "request_id", "data",
)  # fmt: skip


def bill_rows(bill: Bill) -> Iterator[Row]:
    """One for each currency on it; one without figures for a bill on which nothing has accrued."""
    start = of_the_bill(bill)
    if not bill.payables:
        yield (*start, *[""] * len(OF_THE_CURRENCY))
    for payable in bill.payables:
        yield (*start, *of_the_currency(payable))


def of_the_bill(bill: Bill) -> Row:
    return (
        bill.printed_number or "",
        str(bill.id),
        csv_text.text(bill.customer.external_id),
        csv_text.text(bill.customer.name),
        bill.status,
        rfc3339(bill.period.start),
        rfc3339(bill.period.end),
        str(bill.item_count),
        rfc3339(bill.created_at),
        _instant(bill.effective_at or bill.close_requested_at),
        _instant(bill.closed_at),
        bill.close_reason or "",
    )


def of_the_currency(payable: Payable) -> Row:
    code = payable.currency.code
    return code, plain(payable.subtotal), plain(payable.rounding), plain(payable.amount, code)


def line_item_rows(exported: ExportedItem) -> Iterable[Row]:
    item = exported.item
    row = (
        str(item.bill_id),
        csv_text.text(exported.customer_id),
        str(item.position),
        str(item.id),
        csv_text.text(item.description),
        money.plain(item.quantity),
        money.plain(item.unit_price),
        money.plain(item.total),
        item.currency,
        rfc3339(item.created_at),
        str(item.reverses or ""),
        csv_text.text(item.reason or ""),
        csv_text.text(item.source or ""),
        csv_text.text(item.reference or ""),
    )
    return (row,)


def event_rows(event: Event) -> Iterable[Row]:
    row = (
        str(event.subject_id),
        str(event.version),
        event.type,
        rfc3339(event.occurred_at),
        event.actor.kind,
        csv_text.text(event.actor.id),
        csv_text.text(event.actor.name),
        csv_text.text(event.request_id),
        csv_text.text(json.dumps(event.data, ensure_ascii=False)),
    )
    return (row,)


def _instant(moment: datetime | None) -> str:
    return rfc3339(moment) if moment else ""
