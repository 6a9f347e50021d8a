"""What can be done, by a page or through the API: the ledger decides, then the bill's workflow is told.

What the ledger has committed is done; telling the workflow never waits and never fails (closing waits
two seconds at most). Every function raises the errors of the ledger function it calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from billing.bill import Bill, Customer, LineItem, LineItemDraft
from billing.errors import RateSnapshotNotFound
from billing.ledger import bills, customers, line_items, reads, requests
from billing.ledger import rates as stored_rates
from billing.ledger.adding import Added
from billing.ledger.bills import Written
from billing.ledger.line_items import Accepted, Entry, Keeps
from billing.ledger.requests import StoredRequest
from billing.origin import Origin
from billing.period import Period
from billing.rates import RateSnapshot
from webapp import logs, offered
from webapp.system import System


def open_bill(system: System, origin: Origin, customer_id: str, period: Period) -> Written:
    written = bills.open_bill(system.engine, origin, customer_id, period)
    logs.about(written.bill.id)
    if not written.replayed:
        system.workflows.opened(written.bill)
    return written


def add_line_item(system: System, origin: Origin, bill_id: UUID, draft: LineItemDraft) -> Added:
    """The bill with its new totals, the item, and whether an earlier request with this key added it."""
    offered.refuse_withdrawn(system, origin, bill_id, draft)
    added = system.adding.add(origin, bill_id, draft)
    if not added.replayed:
        system.workflows.changed(added.bill)
        system.tell_pages(added.bill.id)
    return added


def add_line_items(
    system: System,
    origin: Origin,
    bill_id: UUID,
    entries: Sequence[Entry],
    *,
    call: tuple[str, bytes] | None = None,
    keeps: Keeps | None = None,
) -> Accepted:
    """Up to 1,000 items with an outcome each; `call` is the key and fingerprint of the whole. What it doesn't keep is
    taken back, and nobody hears of it."""
    accepted = line_items.add_all(system.engine, origin, bill_id, entries, call=call, keeps=keeps)
    is_kept = keeps is None or keeps(accepted)
    if is_kept and any(outcome.item is not None and not outcome.replayed for outcome in accepted.outcomes):
        system.workflows.changed(accepted.bill)
        system.tell_pages(accepted.bill.id)
    return accepted


def request_line_item(system: System, origin: Origin, bill_id: UUID, draft: LineItemDraft) -> StoredRequest:
    """Stores the item for the bill's workflow to add: a promise of an outcome, not of an addition."""
    offered.refuse_withdrawn(system, origin, bill_id, draft)
    stored = requests.store(system.engine, origin, bill_id, draft)
    if stored.state == "pending":
        system.workflows.line_item_requested(bill_id, stored.id)
    return stored


def reverse_line_item(
    system: System, origin: Origin, bill_id: UUID, item_id: UUID, reason: str
) -> tuple[Bill, LineItem, bool]:
    """The bill with its new totals, the reversing item, and whether an earlier request with this key added it."""
    bill, item, replayed = line_items.reverse(system.engine, origin, bill_id, item_id, reason)
    if not replayed:
        system.workflows.changed(bill)
        system.tell_pages(bill.id)
    return bill, item, replayed


def change_period(
    system: System,
    origin: Origin,
    bill_id: UUID,
    end: datetime,
    *,
    expected_version: int | None = None,
    expected_end: datetime | None = None,
) -> Written:
    written = bills.change_period(
        system.engine, origin, bill_id, end, expected_version=expected_version, expected_end=expected_end
    )
    if not written.replayed:
        system.workflows.period_changed(written.bill)
        system.tell_pages(written.bill.id)
    return written


def advance_clock(system: System, origin: Origin, bill_id: UUID, to: datetime) -> Written:
    """Of a test bill. Where that brings its end, its workflow has two seconds to close it, as for a close by hand."""
    written = bills.advance_clock(system.engine, origin, bill_id, to)
    if not written.replayed:
        system.workflows.period_changed(written.bill)
        system.tell_pages(bill_id)
    if not written.bill.is_open or to < written.bill.period.end:
        return written
    system.workflows.close(written.bill)
    return Written(reads.bill(system.engine, bill_id), replayed=written.replayed)


def close_bill(system: System, origin: Origin, bill_id: UUID, *, expected_version: int | None = None) -> Written:
    """Commits the wish, then gives the workflow two seconds: the bill is closed by then, or `closing`."""
    wished = bills.request_close(system.engine, origin, bill_id, expected_version=expected_version)
    if wished.bill.is_closed:
        return wished
    system.tell_pages(bill_id)
    system.workflows.close(wished.bill)
    return Written(reads.bill(system.engine, bill_id), replayed=wished.replayed)


def register_customer(
    system: System, origin: Origin, external_id: str, details: Mapping[str, str]
) -> tuple[Customer, bool]:
    """The customer, and whether an earlier request with this key registered it."""
    return customers.register(system.engine, origin, external_id, details)


def edit_customer(
    system: System,
    origin: Origin,
    external_id: str,
    details: Mapping[str, str],
    *,
    expected_version: int | None = None,
) -> Customer:
    return customers.edit(system.engine, origin, external_id, details, expected_version=expected_version)


def accept_rates(system: System, origin: Origin, snapshot_id: UUID) -> RateSnapshot:
    """An admin's word that quarantined rates are right. Said again while they are in use, it changes nothing."""
    try:
        return stored_rates.accept_quarantined(system.engine, origin, snapshot_id)
    except RateSnapshotNotFound:
        current = stored_rates.current(system.engine, samples=False)
        if current is None or current.id != snapshot_id:
            raise
        return current
