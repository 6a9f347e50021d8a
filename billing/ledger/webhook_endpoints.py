"""Webhook endpoints: where events are sent to. Every change has its event, which names no address and no secret."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, Engine, func, insert, select, text, update

from billing.errors import FailedPrecondition, InvalidArgument, NotFound, VersionConflict
from billing.identifiers import new_id
from billing.ledger import events, feed, idempotency
from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.ledger.public_events import PUBLIC
from billing.ledger.rows import Row
from billing.ledger.tables.webhooks import WebhookDeliveryRow, WebhookEndpointRow
from billing.origin import Origin, fingerprint

MOST_ENDPOINTS = 50
LONGEST_URL = 2_048
BY_HAND, FAILING = "by_hand", "failing"
# Whoever looks after overdue endpoints does so at once.
LONG_DUE = timedelta(minutes=1)

_ENDPOINTS = WebhookEndpointRow.__table__
_DELIVERIES = WebhookDeliveryRow.__table__
# Of one that is deleted the rest goes bit by bit, and nobody sees it.
_THERE = _ENDPOINTS.c.status != "deleted"


class WebhookEndpointNotFound(NotFound):
    """No webhook endpoint has this id."""

    reason = "webhook_endpoint_not_found"
    default_message = "webhook endpoint not found"


class TooManyWebhookEndpoints(FailedPrecondition):
    """So many endpoints can't be told of every event."""

    reason = "too_many_webhook_endpoints"
    default_message = f"there are {MOST_ENDPOINTS} webhook endpoints already; delete one that is no longer needed"


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """`types` is None where it is told of all. `failing_since`: nothing has arrived since then, though it was tried."""

    id: UUID
    url: str
    types: tuple[str, ...] | None
    status: str
    paused_reason: str | None
    paused_at: datetime | None
    failing_since: datetime | None
    previous_secret_until: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def is_paused(self) -> bool:
        return self.status == "paused"

    @property
    def host(self) -> str:
        """What of the address may be shown everywhere: the rest may hold a password."""
        return host_of(self.url)


def host_of(url: str) -> str:
    return urlsplit(url).hostname or ""


def parse_url(value: object) -> str:
    """A text that may be an address; what it may lead to is for the sender to say (workflows/outgoing.py)."""
    if not isinstance(value, str) or not value:
        raise InvalidArgument("url is required", reason="required", field="url")
    if len(value) > LONGEST_URL or not value.isascii() or not value.isprintable():
        raise InvalidArgument(f"url must be at most {LONGEST_URL} printable ASCII characters", field="url")
    return value


def parse_types(value: object) -> tuple[str, ...] | None:
    """Some public types, in the order of their declaration; None for all of them. Raises InvalidArgument."""
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(type_, str) for type_ in value):
        raise InvalidArgument("types must be a list of event types, or null for all of them", field="types")
    feed.refuse_unknown_types(value, "types")
    return tuple(type_ for type_ in PUBLIC if type_ in value)


def create(
    engine: Engine, origin: Origin, url: str, types: Collection[str] | None, sealed_secret: Callable[[UUID], str]
) -> tuple[WebhookEndpoint, bool]:
    """An endpoint that is told of what happens from now on, and whether a repeat found the one that was made first.

    `sealed_secret` seals its secret, given the endpoint's id. Raises TooManyWebhookEndpoints.
    """
    print_ = fingerprint(url, *(types or ()))
    with transaction(engine) as connection:
        idempotency.wait_for_twin(connection, origin, "create_webhook_endpoint")
        known = _recalled(connection, origin, print_)
        if known:
            return _read(connection, known), True
        connection.execute(text("LOCK TABLE webhook_endpoints IN SHARE ROW EXCLUSIVE MODE"))
        if (
            connection.execute(select(func.count()).select_from(_ENDPOINTS).where(_THERE)).scalar_one()
            >= MOST_ENDPOINTS
        ):
            raise TooManyWebhookEndpoints
        instant, id_ = now(connection), new_id()
        connection.execute(
            insert(WebhookEndpointRow).values(
                id=id_,
                url=url,
                types=list(types) if types else None,
                secret=sealed_secret(id_),
                # What committed before is passed over; what is being written now isn't.
                xid=text("(pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text::xid8"),
                seq=2**63 - 1,
                created_at=instant,
                updated_at=instant,
            )
        )
        data = {"host": host_of(url), "types": list(types) if types else None}
        events.append(connection, origin, "webhook_endpoint.created", ("webhook_endpoint", id_), 1, instant, data)
        idempotency.remember(connection, origin, "create_webhook_endpoint", print_, id_)
        return _read(connection, id_), False


def created(engine: Engine, origin: Origin, url: str, types: Collection[str] | None) -> WebhookEndpoint | None:
    """What the first request with this key made; None if there was none. Raises WebhookEndpointNotFound when it is
    deleted, IdempotencyKeyReused."""
    if origin.idempotency_key is None:
        return None
    with snapshot(engine) as connection:
        known = _recalled(connection, origin, fingerprint(url, *(types or ())))
        return _read(connection, known) if known else None


def _recalled(connection: Connection, origin: Origin, print_: bytes) -> UUID | None:
    return idempotency.recall(connection, origin, "create_webhook_endpoint", print_)


def every(engine: Engine) -> Sequence[WebhookEndpoint]:
    """Oldest first."""
    with snapshot(engine) as connection:
        query = select(_ENDPOINTS).where(_THERE).order_by(_ENDPOINTS.c.id)
        return [endpoint_of(row) for row in connection.execute(query)]


def by_id(engine: Engine, endpoint_id: UUID) -> WebhookEndpoint:
    """Raises WebhookEndpointNotFound."""
    with snapshot(engine) as connection:
        return _read(connection, endpoint_id)


def failing(engine: Engine) -> Sequence[WebhookEndpoint]:
    """Those that were paused because nothing arrived."""
    query = select(_ENDPOINTS).where(_ENDPOINTS.c.paused_reason == FAILING).order_by(_ENDPOINTS.c.id)
    with snapshot(engine) as connection:
        return [endpoint_of(row) for row in connection.execute(query)]


def edit(
    engine: Engine,
    origin: Origin,
    endpoint_id: UUID,
    changes: Mapping[str, Any],
    *,
    expected_version: int | None = None,
) -> WebhookEndpoint:
    """Changes `url` and `types` as far as they are given; what waits for an answer is sent to the new address at once.

    Raises WebhookEndpointNotFound, VersionConflict.
    """
    with transaction(engine) as connection:
        row = locked(connection, endpoint_id)
        given = {name: list(value) if isinstance(value, tuple) else value for name, value in changes.items()}
        changed = {name: value for name, value in given.items() if getattr(row, name) != value}
        if not changed:
            return endpoint_of(row)
        if expected_version not in {None, row.version}:
            raise VersionConflict("the webhook endpoint was changed meanwhile")
        data: dict[str, Any] = {"fields": sorted(changed)}
        if "url" in changed:
            data["host"] = host_of(str(changed["url"]))
            changed |= _afresh(connection, row, paused_for=timedelta(0))
        return write(connection, origin, row, "webhook_endpoint.updated", data, **changed)


def pause(engine: Engine, origin: Origin, endpoint_id: UUID) -> WebhookEndpoint:
    """Nothing is sent, and nothing is lost. Raises WebhookEndpointNotFound."""
    with transaction(engine) as connection:
        row = locked(connection, endpoint_id)
        return endpoint_of(row) if row.status == "paused" else paused(connection, origin, row, BY_HAND)


def paused(connection: Connection, origin: Origin, row: Row, reason: str, *, is_known: bool = False) -> WebhookEndpoint:
    """Its workflow is woken to end, unless it knows: it may be asleep, and nobody would wake it otherwise."""
    instant = now(connection)
    due_at = None if is_known else instant - LONG_DUE
    values = {"status": "paused", "paused_reason": reason, "paused_at": instant, "due_at": due_at}
    return write(connection, origin, row, "webhook_endpoint.paused", {"reason": reason}, **values)


def resume(engine: Engine, origin: Origin, endpoint_id: UUID) -> WebhookEndpoint:
    """Goes on from where it stopped; what waited is as patient as if there had been no pause."""
    with transaction(engine) as connection:
        row = locked(connection, endpoint_id)
        if row.status == "active":
            return endpoint_of(row)
        afresh = _afresh(connection, row, paused_for=now(connection) - row.paused_at)
        values = {"status": "active", "paused_reason": None, "paused_at": None, **afresh}
        return write(connection, origin, row, "webhook_endpoint.resumed", **values)


def locked(connection: Connection, endpoint_id: UUID) -> Row:
    """The endpoint's row, until the transaction ends. Raises WebhookEndpointNotFound."""
    query = select(_ENDPOINTS).where(_ENDPOINTS.c.id == endpoint_id, _THERE).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise WebhookEndpointNotFound
    return row


def _afresh(connection: Connection, row: Row, *, paused_for: timedelta) -> dict[str, Any]:
    """All that is queued is tried at once, and given up later by as long as the endpoint was paused."""
    instant = now(connection)
    connection.execute(
        update(WebhookDeliveryRow)
        .where(_DELIVERIES.c.endpoint_id == row.id, _DELIVERIES.c.status == "pending")
        .values(
            tries=0,
            next_attempt_at=instant,
            give_up_at=_DELIVERIES.c.give_up_at + paused_for,
        )
    )
    return {"failing_since": None, "rests_until": None, "due_at": instant - LONG_DUE}


def write(
    connection: Connection,
    origin: Origin,
    row: Row,
    event: str,
    data: Mapping[str, Any] | None = None,
    **values: object,
) -> WebhookEndpoint:
    """The row as `locked` gave it, changed, with the event of that."""
    instant = now(connection)
    written = connection.execute(
        update(WebhookEndpointRow)
        .where(_ENDPOINTS.c.id == row.id)
        .values(version=row.version + 1, updated_at=instant, **values)
        .returning(_ENDPOINTS)
    ).one()
    events.append(connection, origin, event, ("webhook_endpoint", row.id), written.version, instant, data)
    return endpoint_of(written)


def told(connection: Connection, origin: Origin, row: Row, event: str, data: Mapping[str, Any]) -> None:
    """Something was done with the endpoint that changes none of what it is; its workflow is to look at once."""
    write(connection, origin, row, event, data, rests_until=None, due_at=now(connection) - LONG_DUE)


def _read(connection: Connection, endpoint_id: UUID) -> WebhookEndpoint:
    row = connection.execute(select(_ENDPOINTS).where(_ENDPOINTS.c.id == endpoint_id, _THERE)).one_or_none()
    if row is None:
        raise WebhookEndpointNotFound
    return endpoint_of(row)


def endpoint_of(row: Row) -> WebhookEndpoint:
    return WebhookEndpoint(
        row.id,
        row.url,
        tuple(row.types) if row.types else None,
        row.status,
        row.paused_reason,
        row.paused_at,
        row.failing_since,
        row.previous_secret_until,
        row.version,
        row.created_at,
        row.updated_at,
    )
