"""Bills, line items and events as they were at one instant, all of them, sent while they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from flask import Response
from sqlalchemy import Engine

from billing import money
from billing.bill import Bill
from billing.clock import parse_instant
from billing.errors import InvalidArgument
from billing.ledger import exports
from billing.ledger.customers import parse_external_id
from billing.ledger.events import Event
from billing.ledger.exports import Batches, EventFilter, ExportedItem, LineItemFilter
from webapp import csv_text, queries
from webapp.api import render
from webapp.api.bill_answer import bill_id_in
from webapp.api.bills import FILTERS, filter_in, status_in
from webapp.api.blueprint import api
from webapp.api.contract import fields
from webapp.api.contract.answers import EXPORTED_BILL, EXPORTED_EVENT, EXPORTED_LINE_ITEM, Answer
from webapp.api.contract.operation import operation
from webapp.api.contract.schemas import Schema, text
from webapp.api.parameters import parameters
from webapp.exports import rows
from webapp.exports.places import TooManyExports
from webapp.exports.rows import Row
from webapp.exports.streaming import Chunks, streamed
from webapp.identity.access import allow, open_to_bound_keys
from webapp.identity.caller import bound_customers
from webapp.identity.scopes import Scope
from webapp.system import system

NDJSON = "application/x-ndjson"
FORMATS = tuple(fields.FORMAT.schema["enum"])


def _file(columns: Row, line: Schema) -> Answer:
    """As CSV with a heading, or NDJSON."""
    heading = text("A heading, and rows.", examples=[csv_text.csv_lines([columns])])
    headers = {"Content-Disposition": text("A name for the file.")}
    meaning = "All of them. Of NDJSON the schema is that of each line."
    return Answer(meaning, heading, headers, media=csv_text.MIMETYPE, others={NDJSON: line})


@dataclass(frozen=True, slots=True)
class Kind:
    """What is exported: its columns, a thing's rows of CSV, a thing as JSON."""

    name: str
    columns: Row
    rows: Callable[[Any], Iterable[Row]]
    text: Callable[[Any], str]


@api.get("/exports/bills")
@allow(Scope.BILLS_READ)
@open_to_bound_keys
@operation(
    "Export bills",
    query=(fields.FORMAT, *FILTERS),
    answers={200: _file(rows.BILLS, EXPORTED_BILL)},
    refusals=(TooManyExports,),
)
def export_bills() -> Response:
    """Those that the same filters list, oldest first; in CSV a row for each currency of theirs."""
    asked = parameters()
    wanted = filter_in(asked)
    return _exported(_BILLS, asked, lambda engine: exports.bills(engine, wanted))


@api.get("/exports/line-items")
@allow(Scope.BILLS_READ)
@open_to_bound_keys
@operation(
    "Export line items",
    query=(
        *(fields.FORMAT, fields.OF_BILL, fields.OF_CUSTOMER, fields.STATUS, fields.OF_CURRENCY),
        *(fields.FROM_THEN, fields.BEFORE),
    ),
    answers={200: _file(rows.LINE_ITEMS, EXPORTED_LINE_ITEM)},
    refusals=(TooManyExports,),
)
def export_line_items() -> Response:
    """`from` and `to` say when they were added."""
    asked = parameters()
    begins, ends = _span(asked)
    wanted = LineItemFilter(
        bill_id=bill_id_in(asked["bill_id"]) if "bill_id" in asked else None,
        customer_id=_customer_id(asked),
        status=status_in(asked["status"]) if "status" in asked else None,
        currency=money.currency(asked["currency"]).code if "currency" in asked else None,
        begins=begins,
        ends=ends,
        among=bound_customers(),
    )
    return _exported(_LINE_ITEMS, asked, lambda engine: exports.line_items(engine, wanted))


@api.get("/exports/events")
@allow(Scope.EVENTS_READ)
@open_to_bound_keys
@operation(
    "Export events",
    query=(fields.FORMAT, fields.OF_BILL, fields.OF_CUSTOMER, fields.FROM_THEN, fields.BEFORE),
    answers={200: _file(rows.EVENTS, EXPORTED_EVENT)},
    refusals=(TooManyExports,),
)
def export_events() -> Response:
    """Those of bills; `from` and `to` say when they happened."""
    asked = parameters()
    begins, ends = _span(asked)
    bill_id = bill_id_in(asked["bill_id"]) if "bill_id" in asked else None
    wanted = EventFilter(bill_id, _customer_id(asked), begins, ends, among=bound_customers())
    return _exported(_EVENTS, asked, lambda engine: exports.events(engine, wanted))


def _customer_id(asked: Mapping[str, str]) -> str | None:
    return parse_external_id(asked["customer_id"]) if "customer_id" in asked else None


def _span(asked: Mapping[str, str]) -> tuple[datetime | None, datetime | None]:
    begins, ends = (parse_instant(asked[name], name) if name in asked else None for name in ("from", "to"))
    return begins, ends


def _exported(kind: Kind, asked: Mapping[str, str], read: Callable[[Engine], Batches[Any]]) -> Response:
    wanted = asked.get("format", "csv")
    if wanted not in FORMATS:
        raise InvalidArgument("format must be csv or ndjson", field="format")
    engine, write = system().engine, _csv if wanted == "csv" else _ndjson
    mimetype = csv_text.MIMETYPE if wanted == "csv" else NDJSON
    day = queries.current_rates(system()).as_of.date()
    file_name = f"{'test-' if system().is_test else ''}{kind.name}-{day.isoformat()}.{wanted}"
    return streamed(lambda: write(kind, read(engine)), mimetype=mimetype, file_name=file_name)


def _csv(kind: Kind, batches: Batches[Any]) -> Chunks:
    heading: Iterable[Row] = [kind.columns]
    text = csv_text.BYTE_ORDER_MARK + csv_text.csv_lines(heading)
    with closing(batches):
        for batch in batches:
            yield text + csv_text.csv_lines(chain.from_iterable(map(kind.rows, batch)))
            text = ""
    if text:
        yield text


def _ndjson(kind: Kind, batches: Batches[Any]) -> Chunks:
    with closing(batches):
        for batch in batches:
            yield "".join([kind.text(one) + "\n" for one in batch])


def _bill(bill: Bill) -> str:
    return render.to_json(render.stored_bill(bill, bill.payables))


def _line_item(exported: ExportedItem) -> str:
    return f'{render.line_item(exported.item)[:-1]},"customer_id":{render.to_json(exported.customer_id)}}}'


def _event(event: Event) -> str:
    return f'{{"bill_id":"{event.subject_id}",{render.event(event)[1:]}'


_BILLS = Kind("bills", rows.BILLS, rows.bill_rows, _bill)
_LINE_ITEMS = Kind("line-items", rows.LINE_ITEMS, rows.line_item_rows, _line_item)
_EVENTS = Kind("events", rows.EVENTS, rows.event_rows, _event)
