"""Whether the rows of the ledger agree with each other: what no constraint can say, since it spans rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from billing import money
from billing.bill import Bill, BillStatus
from billing.ledger import modes, sealing
from billing.ledger.database import snapshot
from billing.ledger.reads import bills_by_id


class Kind(StrEnum):
    """What differs: rows of a bill, rows of the ledger as a whole, or a bill's workflow from its rows."""

    SUMS = "sums"
    COUNTS = "counts"
    EVENTS = "events"
    PAYABLES = "payables"
    RECORDS = "records"
    REFERENCES = "references"
    NUMBERS = "numbers"
    LOG = "log"
    NO_WORKFLOW = "no_workflow"
    BEHIND = "behind"
    UNFINISHED = "unfinished"
    ENDED = "ended"
    SILENT = "silent"
    WEDGED = "wedged"
    FAILING = "failing"
    AHEAD = "ahead"
    CONTRADICTS = "contradicts"
    NO_BILL = "no_bill"
    TEMPORAL = "temporal"


OF_ROWS = (Kind.SUMS, Kind.COUNTS, Kind.EVENTS, Kind.PAYABLES, Kind.RECORDS, Kind.REFERENCES)
OF_THE_LEDGER = (Kind.NUMBERS, Kind.LOG)
OF_WORKFLOWS = (
    Kind.NO_WORKFLOW, Kind.BEHIND, Kind.UNFINISHED, Kind.ENDED, Kind.SILENT, Kind.WEDGED, Kind.FAILING, Kind.AHEAD,
    Kind.CONTRADICTS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """Two things that should say the same and don't. `bill_id` None: about the ledger as a whole."""

    bill_id: UUID | None
    sentence: str
    kind: Kind


def bills_to_compare(engine: Engine, *, every: bool, after: UUID | None, limit: int) -> Sequence[Bill]:
    """In the order of ids. Unless `every`, those whose workflow has not finished or heard another version."""
    with snapshot(engine) as connection:
        wanted = {"every": every, "after": after or UUID(int=0), "limit": limit}
        return bills_by_id(connection, list(connection.execute(_TO_COMPARE, wanted).scalars()))


_TO_COMPARE = text(
    """
    SELECT b.id FROM bills b LEFT JOIN bill_workflows w ON w.bill_id = b.id
    WHERE b.id > :after AND (:every OR w.finished_at IS NULL OR w.heard_version <> b.version)
    ORDER BY b.id LIMIT :limit
    """
)


def differences(engine: Engine, bill_ids: Sequence[UUID]) -> list[Difference]:
    """Of these bills' rows, all read at one instant."""
    with snapshot(engine) as connection:
        return [found for check in _CHECKS for found in check(connection, list(bill_ids))]


def ledger_differences(engine: Engine) -> list[Difference]:
    """Of the ledger as a whole: it reads every number that was given."""
    with snapshot(engine) as connection:
        return [*_numbers(connection), *_log(connection)]


def _numbers(connection: Connection) -> Iterator[Difference]:
    """Numbers of closed bills have no gaps but those that beginning an epoch set aside."""
    row = connection.execute(_NUMBERS).one()
    if row.given == row.count + row.set_aside and (row.highest or 0) <= row.given and not row.misused:
        return
    aside = f", set aside after a restore: {row.set_aside}" if row.set_aside else ""
    misused = f", given though set aside: {row.misused}" if row.misused else ""
    sentence = f"bill numbers given: {row.given}, bills that have one: {row.count}, highest: {row.highest}"
    yield Difference(None, f"{sentence}{aside}{misused}", Kind.NUMBERS)


_NUMBERS = text(
    """
    SELECT (SELECT last_value FROM counters WHERE name = 'bill_number') AS given,
           count(number) AS count, max(number) AS highest,
           (SELECT coalesce(sum(numbers_to - numbers_from + 1), 0) FROM ledger_epochs) AS set_aside,
           (SELECT count(*) FROM ledger_epochs e JOIN bills b ON b.number BETWEEN e.numbers_from AND e.numbers_to)
               AS misused
    FROM bills
    """
)


def _log(connection: Connection) -> Iterator[Difference]:
    """Readers of the log go by transaction ids, which a dump brings from another server. Once this one has come as far,
    what it wrote before stands among those."""
    row = connection.execute(_LOG).one()
    if row.last is not None and row.last >= row.next:
        yield Difference(None, f"the log's last transaction is {row.last}, the server is at {row.next}", Kind.LOG)
    elif sealing.is_copied(connection):
        sentence = "the log's last sealed event isn't where it was written: a dump brought it, or somebody touched it"
        yield Difference(None, sentence, Kind.LOG)


_LOG = text(
    """
    SELECT (SELECT xid::text::bigint FROM events ORDER BY xid DESC, seq DESC LIMIT 1) AS last,
           pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next
    """
)


def without_a_bill(engine: Engine, ids: Sequence[UUID]) -> list[UUID]:
    """Those of these ids that no bill has."""
    with snapshot(engine) as connection:
        found = set(connection.execute(_WITH_A_BILL, {"ids": list(ids)}).scalars())
    return [wanted for wanted in ids if wanted not in found]


# Test bills have workflows of the same kind.
_WITH_A_BILL = text(
    f"SELECT id FROM bills WHERE id = ANY(:ids) UNION ALL SELECT id FROM {modes.SCHEMA}.bills WHERE id = ANY(:ids)"  # noqa: S608  a constant
)


def _sums(connection: Connection, bill_ids: list[UUID]) -> Iterator[Difference]:
    for row in connection.execute(_SUMS, {"ids": bill_ids}):
        items, stored = _plain(row.total), _plain(row.subtotal)
        yield Difference(row.bill_id, f"{row.currency} items add up to {items}, the subtotal is {stored}", Kind.SUMS)


_SUMS = text(
    """
    SELECT bill_id, currency, s.subtotal, i.total
    FROM (SELECT bill_id, currency, subtotal FROM bill_subtotals WHERE bill_id = ANY(:ids)) s
    FULL JOIN (SELECT bill_id, currency, sum(total) AS total FROM line_items WHERE bill_id = ANY(:ids)
               GROUP BY bill_id, currency) i USING (bill_id, currency)
    WHERE s.subtotal IS DISTINCT FROM i.total
    ORDER BY bill_id, currency
    """
)


def _counts(connection: Connection, bill_ids: list[UUID]) -> Iterator[Difference]:
    for row in connection.execute(_COUNTS, {"ids": bill_ids}):
        sentence = f"items: {row.items}, last position: {row.last}, the bill counts {row.item_count}"
        yield Difference(row.id, sentence, Kind.COUNTS)


_COUNTS = text(
    """
    SELECT b.id, b.item_count, count(i.position) AS items, coalesce(max(i.position), 0) AS last
    FROM bills b LEFT JOIN line_items i ON i.bill_id = b.id
    WHERE b.id = ANY(:ids) GROUP BY b.id
    HAVING b.item_count <> count(i.position) OR b.item_count <> coalesce(max(i.position), 0)
    ORDER BY b.id
    """
)


def _events(connection: Connection, bill_ids: list[UUID]) -> Iterator[Difference]:
    for row in connection.execute(_EVENTS, {"ids": bill_ids}):
        sentence = f"events: {row.events}, last version: {row.last}, the bill is at version {row.version}"
        yield Difference(row.id, sentence, Kind.EVENTS)


_EVENTS = text(
    """
    SELECT b.id, b.version, count(e.version) AS events, coalesce(max(e.version), 0) AS last
    FROM bills b LEFT JOIN events e ON e.subject_id = b.id
    WHERE b.id = ANY(:ids) GROUP BY b.id
    HAVING b.version <> count(e.version) OR b.version <> coalesce(max(e.version), 0)
    ORDER BY b.id
    """
)


def _payables(connection: Connection, bill_ids: list[UUID]) -> Iterator[Difference]:
    for row in connection.execute(_PAYABLES, {"ids": bill_ids}):
        due = money.payable(row.subtotal, money.currency(row.currency)) if row.status == BillStatus.CLOSED else None
        wanted = (due.amount, due.rounding) if due else (None, None)
        if (row.payable, row.rounding) != wanted:
            stored = f"payable {_plain(row.payable)} and rounding {_plain(row.rounding)} are stored"
            sentence = f"{row.currency} {stored}, right are {_plain(wanted[0])} and {_plain(wanted[1])}"
            yield Difference(row.id, sentence, Kind.PAYABLES)


_PAYABLES = text(
    """
    SELECT b.id, b.status, s.currency, s.subtotal, s.payable, s.rounding
    FROM bills b JOIN bill_subtotals s ON s.bill_id = b.id
    WHERE b.id = ANY(:ids) ORDER BY b.id, s.currency
    """
)


def _plain(amount: Any) -> str:
    return "none" if amount is None else money.plain(amount)


def _records(connection: Connection, bill_ids: list[UUID]) -> Iterator[Difference]:
    """Of what the workflow is recorded to have heard."""
    for row in connection.execute(_RECORDS, {"ids": bill_ids}):
        if row.heard_version is None:
            sentence = "there is no record of what its workflow has heard"
        elif row.heard_version > row.version:
            sentence = f"its workflow heard of version {row.heard_version}, the bill is at version {row.version}"
        else:
            sentence = f"its workflow is recorded as finished, the bill is {row.status}"
        yield Difference(row.id, sentence, Kind.RECORDS)


_RECORDS = text(
    """
    SELECT b.id, b.status, b.version, w.heard_version
    FROM bills b LEFT JOIN bill_workflows w ON w.bill_id = b.id
    WHERE b.id = ANY(:ids)
      AND (w.bill_id IS NULL OR w.heard_version > b.version
           OR (w.finished_at IS NOT NULL AND (b.status <> 'closed' OR w.heard_version <> b.version)))
    ORDER BY b.id
    """
)


def _references(connection: Connection, bill_ids: list[UUID]) -> Iterator[Difference]:
    """Of items: what is taken by no item, `references.without_an_item` finds."""
    for row in connection.execute(_REFERENCES, {"ids": bill_ids}):
        state = "another item has" if row.is_taken else "isn't taken"
        sentence = f"items whose reference {state}: {row.items}, the first at position {row.first}"
        yield Difference(row.bill_id, sentence, Kind.REFERENCES)


_REFERENCES = text(
    """
    SELECT i.bill_id, k.item_id IS NOT NULL AS is_taken, count(*) AS items, min(i.position) AS first
    FROM line_items i
    JOIN bills b ON b.id = i.bill_id
    LEFT JOIN line_item_references k
        ON k.customer_id = b.customer_id AND k.source = i.source AND k.reference = i.reference
    WHERE i.bill_id = ANY(:ids) AND i.reference IS NOT NULL
      AND (k.bill_id, k.item_id) IS DISTINCT FROM (i.bill_id, i.id)
    GROUP BY i.bill_id, is_taken ORDER BY i.bill_id, is_taken
    """
)

_CHECKS = (_sums, _counts, _events, _payables, _records, _references)
