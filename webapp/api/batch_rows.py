"""The rows of a batch: each as it came, what it asks for, and what becomes of it beside the others of its call."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing.bill import MOST_ITEMS_IN_A_CALL
from billing.errors import BillingError, InvalidArgument, UnsupportedCurrency
from billing.ledger import line_items, repeats
from billing.ledger.line_items import Entry, Outcome
from billing.origin import ascii_json, fingerprint
from webapp import offered
from webapp.api.body import refuse_unknown
from webapp.api.contract.fields import ROW
from webapp.api.negotiation import checked_key, idempotency_key
from webapp.drafts import parse_draft
from webapp.identity.caller import origin
from webapp.system import System

_FIELDS = frozenset(field.name for field in ROW)


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it came: what to add, or why it can't be right."""

    given: Any
    entry: Entry | None
    refusal: BillingError | None


def parse_rows(value: object, codes: Collection[str]) -> list[Row]:
    if not isinstance(value, list) or not value:
        raise InvalidArgument("line_items must be a list of line items", field="line_items")
    if len(value) > MOST_ITEMS_IN_A_CALL:
        raise InvalidArgument(f"line_items cannot be more than {MOST_ITEMS_IN_A_CALL} in a call", field="line_items")
    return [parse_row(row, codes) for row in value]


def parse_row(given: Any, codes: Collection[str]) -> Row:
    try:
        return Row(given, _parse_entry(given, codes), None)
    except InvalidArgument as refusal:
        return Row(given, None, refusal)


def _parse_entry(given: Any, codes: Collection[str]) -> Entry:
    if not isinstance(given, Mapping):
        raise InvalidArgument("a line item must be a JSON object")
    refuse_unknown(given, _FIELDS)
    key = checked_key(given["key"], "key") if "key" in given else None
    return line_items.entry(parse_draft(given, offered=codes), key)


def without_withdrawn(system: System, bill_id: UUID, rows: Sequence[Row], call: bytes) -> Sequence[Row]:
    """Rows in currencies that are no longer offered are refused, but for those that only repeat an earlier one.

    A repeat of the whole call, whose fingerprint is `call`, keeps all of its rows.
    """
    entries = [row.entry for row in rows if row.entry is not None]
    if {entry.draft.currency for entry in entries} <= set(system.supported_currencies):
        return rows
    call_key = idempotency_key()
    row_keys = [entry.key for entry in entries if entry.key is not None]
    known = offered.known_additions(system, origin(), bill_id, [*row_keys, *([call_key] if call_key else [])])
    if call_key and known.get(call_key) == call:
        return rows
    pairs = {pair for entry in entries if (pair := entry.draft.source_and_reference)}
    taken = offered.known_references(system, bill_id, pairs)
    return [_unless_withdrawn(row, system.supported_currencies, known, taken) for row in rows]


def _unless_withdrawn(
    row: Row, codes: Collection[str], known: Collection[str], taken: Collection[tuple[str, str]]
) -> Row:
    entry = row.entry
    if entry is None or entry.draft.currency in codes:
        return row
    if entry.key in known or entry.draft.source_and_reference in taken:
        return row
    return Row(row.given, None, UnsupportedCurrency(field="currency"))


def first_with_each_key(rows: Sequence[Row]) -> dict[str | UUID, Entry]:
    return repeats.first_with_each_key(row.entry for row in rows if row.entry is not None)


def outcome_of(row: Row, firsts: Mapping[str | UUID, Entry], decided: Mapping[UUID, Outcome]) -> Outcome:
    """A row with the key of an earlier one of this call repeats it, as it would in another call."""
    return refused(row.refusal) if row.entry is None else repeats.outcome_of(row.entry, firsts, decided)


def refused(refusal: BillingError | None) -> Outcome:
    return Outcome(None, replayed=False, refusal=refusal)


def fingerprint_of(rows: Sequence[Row], *, atomic: bool) -> bytes:
    """Over all rows, those included that can't be right: the same call has the same outcomes."""
    return fingerprint(*(["atomic"] if atomic else []), *(_row_fingerprint(row) for row in rows))


def _row_fingerprint(row: Row) -> str:
    if row.entry is not None:
        return ascii_json((row.entry.fingerprint.hex(), row.entry.key))
    return "refused " + json.dumps(row.given, sort_keys=True, default=_plain)


def _plain(value: object) -> str:
    return str(value.normalize()) if isinstance(value, Decimal) else repr(value)
