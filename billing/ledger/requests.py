"""Items asked for without waiting: the request is stored now, its outcome is decided by the bill's workflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, exc, insert, select, text, update

from billing.bill import BillStatus, LineItemDraft
from billing.errors import BillClosed, BillClosing, BillingError, BillNotFound, IdempotencyKeyReused, NotFound
from billing.identifiers import new_id
from billing.ledger import idempotency, line_items
from billing.ledger.clock import keep_to_bill
from billing.ledger.database import snapshot, transaction
from billing.ledger.tables.bills import BillRow
from billing.ledger.tables.log import LineItemRequestRow as Request
from billing.origin import Actor, ActorKind, Origin

_TABLE = Request.__table__


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """`state` is pending, added (then `item_id` names the item, `item_bill_id` the bill it is on) or rejected (then
    `error` says why). An item that is known by its reference may be on another bill of the customer.

    `asked_in` is the id of the HTTP request that stored it.
    """

    id: UUID
    bill_id: UUID
    state: str
    item_id: UUID | None
    error: dict[str, Any] | None
    created_at: datetime
    decided_at: datetime | None
    asked_in: str
    item_bill_id: UUID | None = None
    replayed: bool = False


class LineItemRequestNotFound(NotFound):
    """The bill has no stored request with this id."""

    reason = "line_item_request_not_found"
    default_message = "line item request not found"


def store(engine: Engine, origin: Origin, bill_id: UUID, draft: LineItemDraft) -> StoredRequest:
    """Promises an outcome, not an addition. A bill that is closed already takes no request."""
    try:
        with transaction(engine) as connection:
            known = _by_key(connection, origin, bill_id, draft)
            if known is not None:
                return known
            added = idempotency.recall(connection, origin, line_items.ADD, draft.fingerprint(), scope_id=bill_id)
            if added is None:
                added = _by_reference(connection, bill_id, draft)
            if added is not None:
                keep_to_bill(connection, bill_id)
                row = connection.execute(_insert_added(origin, bill_id, draft, added)).one()
                return replace(_request_of(connection, row), replayed=True)
            _refuse_closed(connection, bill_id)
            return _request_of(connection, connection.execute(_insert(origin, bill_id, draft)).one())
    except exc.IntegrityError:
        # The same key arrived twice at once; the other one is stored by now.
        with transaction(engine) as connection:
            known = _by_key(connection, origin, bill_id, draft)
            if known is None:
                raise
            return known


def _insert(origin: Origin, bill_id: UUID, draft: LineItemDraft) -> Any:
    return (
        insert(Request)
        .values(
            bill_id=bill_id,
            id=new_id(),
            account_id=origin.account_id,
            key=origin.idempotency_key,
            fingerprint=draft.fingerprint(),
            actor_kind=origin.actor.kind,
            actor_id=origin.actor.id,
            actor_name=origin.actor.name,
            request_id=origin.request_id,
            description=draft.description,
            quantity=draft.quantity,
            unit_price=draft.unit_price,
            total=draft.total,
            currency=draft.currency,
            source=draft.source,
            reference=draft.reference,
        )
        .returning(_TABLE)
    )


def _insert_added(origin: Origin, bill_id: UUID, draft: LineItemDraft, item_id: UUID) -> Any:
    """A request whose item was added already, without a request: with the same key, or as the same reference."""
    return _insert(origin, bill_id, draft).values(state="added", item_id=item_id, decided_at=text("billing_now()"))


def _by_key(connection: Connection, origin: Origin, bill_id: UUID, draft: LineItemDraft) -> StoredRequest | None:
    if origin.idempotency_key is None:
        return None
    row = connection.execute(
        select(_TABLE).where(
            Request.bill_id == bill_id,
            Request.account_id == origin.account_id,
            Request.key == origin.idempotency_key,
        )
    ).one_or_none()
    if row is None:
        return None
    if bytes(row.fingerprint) != draft.fingerprint():
        raise IdempotencyKeyReused
    return replace(_request_of(connection, row), replayed=True)


def _by_reference(connection: Connection, bill_id: UUID, draft: LineItemDraft) -> UUID | None:
    """The item that the customer was charged for it before, which is the outcome whatever the state of the bill."""
    if draft.reference is None:
        return None
    asked = {"bill_id": bill_id, "source": draft.source, "reference": draft.reference}
    known = connection.execute(_REFERENCE, asked).one_or_none()
    return known.item_id if known and bytes(known.fingerprint) == draft.fingerprint() else None


def _refuse_closed(connection: Connection, bill_id: UUID) -> None:
    status = connection.execute(select(BillRow.status).where(BillRow.id == bill_id)).scalar_one_or_none()
    if status is None:
        raise BillNotFound
    if status == BillStatus.CLOSED:
        raise BillClosed
    if status == BillStatus.CLOSING:
        raise BillClosing


def read(engine: Engine, bill_id: UUID, request_id: UUID, *, of_account: UUID | None = None) -> StoredRequest:
    """Whoever asked for it, or this account alone. Raises LineItemRequestNotFound."""
    query = select(_TABLE).where(Request.bill_id == bill_id, Request.id == request_id)
    if of_account is not None:
        query = query.where(Request.account_id == of_account)
    with snapshot(engine) as connection:
        row = connection.execute(query).one_or_none()
        if row is None:
            raise LineItemRequestNotFound
        return _request_of(connection, row)


def carry_out(engine: Engine, bill_id: UUID, request_id: UUID) -> StoredRequest:
    """Decides a stored request, once: repeated, it gives the same answer."""
    with transaction(engine) as connection:
        row = connection.execute(
            select(_TABLE).where(Request.bill_id == bill_id, Request.id == request_id).with_for_update()
        ).one_or_none()
        if row is None:
            raise LineItemRequestNotFound
        if row.state != "pending":
            return _request_of(connection, row)
        outcome = _accept(connection, row)
        # Only success is remembered: what was rejected gives its key free.
        rejected = {"error": None if outcome.item else _error_of(outcome.refusal), "key": None}
        decided = {"item_id": outcome.item.id} if outcome.item else rejected
        decided_row = connection.execute(
            update(Request)
            .where(Request.bill_id == bill_id, Request.id == request_id)
            .values(state="added" if outcome.item else "rejected", decided_at=text("billing_now()"), **decided)
            .returning(_TABLE)
        ).one()
        return _request_of(connection, decided_row)


def _accept(connection: Connection, row: Any) -> line_items.Outcome:
    actor = Actor(ActorKind(row.actor_kind), row.actor_id, row.actor_name)
    origin = Origin(actor, row.account_id, row.request_id, row.key)
    draft = LineItemDraft(
        row.description, row.quantity, row.unit_price, row.total, row.currency, row.source, row.reference
    )
    asked = line_items.Entry(row.id, draft, row.key, bytes(row.fingerprint))
    keep_to_bill(connection, row.bill_id)
    (outcome,) = line_items.accept(line_items.within(connection), origin, row.bill_id, [asked]).outcomes
    return outcome


def _error_of(refusal: BillingError | None) -> dict[str, Any]:
    assert refusal is not None
    return {"code": refusal.code, "message": refusal.message, "reason": refusal.reason}


def left_pending(engine: Engine, *, older_than: timedelta, limit: int) -> Sequence[tuple[UUID, UUID]]:
    """Bill and request ids of what no workflow has taken up."""
    query = text(
        "SELECT bill_id, id FROM line_item_requests WHERE state = 'pending' AND created_at < clock_timestamp() - :age"
        " ORDER BY created_at LIMIT :limit"
    )
    with snapshot(engine) as connection:
        return [(row.bill_id, row.id) for row in connection.execute(query, {"age": older_than, "limit": limit})]


def _request_of(connection: Connection, row: Any) -> StoredRequest:
    return StoredRequest(
        row.id, row.bill_id, row.state, row.item_id, row.error, row.created_at, row.decided_at, row.request_id,
        _bill_of_item(connection, row),
    )  # fmt: skip


def _bill_of_item(connection: Connection, row: Any) -> UUID | None:
    if row.item_id is None or row.reference is None:
        return row.bill_id if row.item_id else None
    asked = {"bill_id": row.bill_id, "source": row.source, "reference": row.reference}
    known = connection.execute(_REFERENCE, asked).one_or_none()
    home: UUID = known.bill_id if known else row.bill_id
    return home


_REFERENCE = text(
    """
    SELECT k.bill_id, k.item_id, k.fingerprint FROM bills b JOIN line_item_references k ON k.customer_id = b.customer_id
    WHERE b.id = :bill_id AND k.source = :source AND k.reference = :reference
    """
)
