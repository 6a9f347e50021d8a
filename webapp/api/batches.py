"""Up to 1,000 line items in one call, with an outcome for each: good rows count whatever the others are."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import Response

from billing.bill import MOST_ITEMS_IN_A_CALL, Bill
from billing.errors import (
    BillClosed,
    BillClosing,
    BillingError,
    FailedPrecondition,
    IdempotencyKeyReused,
    InvalidArgument,
    UnsupportedCurrency,
)
from billing.ledger import line_items
from billing.ledger.line_items import Entry, Outcome
from billing.origin import ascii_json, fingerprint
from webapp import commands, offered, queries
from webapp.api import render
from webapp.api.bill_answer import bill_answer, bill_id_in, wanted_currency
from webapp.api.blueprint import api
from webapp.api.body import json_object, refuse_unknown
from webapp.api.contract import fields
from webapp.api.contract.answers import BILL, OUTCOME, Answer, data
from webapp.api.contract.fields import LONGEST_BATCH, Body
from webapp.api.contract.operation import operation
from webapp.api.contract.schemas import array
from webapp.api.errors import described
from webapp.api.negotiation import checked_key, idempotency_key
from webapp.drafts import parse_draft
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.system import System, system

_ROW_FIELDS = frozenset(field.name for field in fields.ROW)


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it came: what to add, or why it can't be right."""

    given: Any
    entry: Entry | None
    refusal: BillingError | None


@api.post("/bills/<bill_id>/line-items/batch")
@allow(Role.OPERATOR)
@operation(
    "Add many line items",
    query=(fields.SHOWN_IN,),
    body=Body((fields.ROWS,), longest=LONGEST_BATCH),
    answers={200: Answer("The bill, and an outcome for each row.", data(BILL, outcomes=array(OUTCOME)))},
    is_idempotent=True,
    refusals=fields.TAKES_NO_CHANGES,
)
def add_batch(bill_id: str) -> Response:
    """Up to 1,000 in one call. Good rows count whatever the others are.

    Each row may have a key of its own; a repeat of the call with its Idempotency-Key repeats all outcomes.
    """
    id_ = bill_id_in(bill_id)
    currency = wanted_currency(system(), id_)
    given = _given_rows(json_object().get("line_items"))
    offered_codes = system().configured_currencies
    rows = [_parse_row(row, offered_codes) for row in given]
    bill, outcomes, replayed = _add(system(), id_, _without_withdrawn(system(), id_, rows))
    texts = (_outcome_text(index, outcome) for index, outcome in enumerate(outcomes))
    return bill_answer(system(), bill, currency, beside={"outcomes": render.array(texts)}, replayed=replayed)


def _given_rows(value: object) -> Sequence[Any]:
    if not isinstance(value, list) or not value:
        raise InvalidArgument("line_items must be a list of line items", field="line_items")
    if len(value) > MOST_ITEMS_IN_A_CALL:
        raise InvalidArgument(f"line_items cannot be more than {MOST_ITEMS_IN_A_CALL} in a call", field="line_items")
    return value


def _parse_row(given: Any, offered: Collection[str]) -> Row:
    try:
        return Row(given, _parse_entry(given, offered), None)
    except InvalidArgument as refusal:
        return Row(given, None, refusal)


def _parse_entry(given: Any, offered: Collection[str]) -> Entry:
    if not isinstance(given, Mapping):
        raise InvalidArgument("a line item must be a JSON object")
    refuse_unknown(given, _ROW_FIELDS)
    key = checked_key(given["key"], "key") if "key" in given else None
    return line_items.entry(parse_draft(given, offered=offered), key)


def _without_withdrawn(system: System, bill_id: UUID, rows: Sequence[Row]) -> Sequence[Row]:
    """Rows in currencies that are no longer offered are refused, but for those that only repeat an earlier one.

    A repeat of the whole call keeps all of its rows.
    """
    currencies = {row.entry.draft.currency for row in rows if row.entry is not None}
    if currencies <= set(system.supported_currencies):
        return rows
    call_key = idempotency_key()
    row_keys = [row.entry.key for row in rows if row.entry is not None and row.entry.key is not None]
    known = offered.known_additions(system, origin(), bill_id, [*row_keys, *([call_key] if call_key else [])])
    if call_key and known.get(call_key) == _call_fingerprint(rows):
        return rows
    return [_unless_withdrawn(row, system.supported_currencies, known) for row in rows]


def _unless_withdrawn(row: Row, codes: Collection[str], known: Collection[str]) -> Row:
    if row.entry is None or row.entry.draft.currency in codes or row.entry.key in known:
        return row
    return Row(row.given, None, UnsupportedCurrency(field="currency"))


def _add(system: System, bill_id: UUID, rows: Sequence[Row]) -> tuple[Bill, list[Outcome], bool]:
    firsts = _first_with_each_key(rows)
    asked = [row.entry for row in rows if row.entry is not None and firsts[_identity(row.entry)] is row.entry]
    if not asked:
        bill = queries.bill(system, bill_id)
        _refuse_closed(bill)
        return bill, [_refused(row.refusal) for row in rows], False
    key = idempotency_key()
    call = (key, _call_fingerprint(rows)) if key is not None else None
    accepted = commands.add_line_items(system, origin(key), bill_id, asked, call=call)
    decided = dict(zip((entry.id for entry in asked), accepted.outcomes, strict=True))
    _refuse_as_a_whole(accepted.outcomes)
    outcomes = [_outcome(row, firsts, decided) for row in rows]
    return accepted.bill, outcomes, accepted.replayed


def _identity(entry: Entry) -> str | UUID:
    """What makes a row another row: its key, or that it has none."""
    return entry.key if entry.key is not None else entry.id


def _first_with_each_key(rows: Sequence[Row]) -> dict[str | UUID, Entry]:
    firsts: dict[str | UUID, Entry] = {}
    for row in rows:
        if row.entry is not None:
            firsts.setdefault(_identity(row.entry), row.entry)
    return firsts


def _outcome(row: Row, firsts: Mapping[str | UUID, Entry], decided: Mapping[UUID, Outcome]) -> Outcome:
    """A row with the key of an earlier one of this call repeats it, as it would in another call."""
    if row.entry is None:
        return _refused(row.refusal)
    first = firsts[_identity(row.entry)]
    outcome = decided[first.id]
    if first is row.entry or outcome.item is None:
        return outcome
    if first.fingerprint != row.entry.fingerprint:
        return _refused(IdempotencyKeyReused())
    return Outcome(outcome.item, replayed=True, refusal=None)


def _refused(refusal: BillingError | None) -> Outcome:
    return Outcome(None, replayed=False, refusal=refusal)


def _refuse_closed(bill: Bill) -> None:
    if bill.is_closed:
        raise BillClosed
    if not bill.is_open:
        raise BillClosing


def _refuse_as_a_whole(outcomes: Sequence[Outcome]) -> None:
    """When the bill's state refuses, and nothing was added now or before."""
    if any(outcome.item is not None for outcome in outcomes):
        return
    for outcome in outcomes:
        if isinstance(outcome.refusal, FailedPrecondition):
            raise outcome.refusal


def _call_fingerprint(rows: Sequence[Row]) -> bytes:
    """Over all rows, those included that can't be right: the same call has the same outcomes."""
    return fingerprint(*(_row_fingerprint(row) for row in rows))


def _row_fingerprint(row: Row) -> str:
    if row.entry is not None:
        return ascii_json((row.entry.fingerprint.hex(), row.entry.key))
    return "refused " + json.dumps(row.given, sort_keys=True, default=_plain)


def _plain(value: object) -> str:
    return str(value.normalize()) if isinstance(value, Decimal) else repr(value)


def _outcome_text(index: int, outcome: Outcome) -> str:
    if outcome.item is not None:
        word = "replayed" if outcome.replayed else "added"
        return f'{{"index":{index},"outcome":"{word}","line_item":{render.line_item(outcome.item)}}}'
    assert outcome.refusal is not None
    error = described(outcome.refusal)
    return json.dumps({"index": index, "outcome": "rejected", "error": error})
