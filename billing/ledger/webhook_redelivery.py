"""Sending to a webhook endpoint again what it was sent before: asked for at once, and carried out bit by bit
(`webhook_backlog`), however much it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine, insert, select, text

from billing.errors import NotFound
from billing.identifiers import new_id
from billing.ledger import epochs, idempotency, webhook_endpoints
from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.ledger.public_events import EventId
from billing.ledger.tables.webhooks import WebhookRedeliveryRow
from billing.origin import Origin, fingerprint

OPERATION = "redeliver_webhooks"


class WebhookDeliveryNotFound(NotFound):
    """The endpoint was sent no such event, or so long ago that nothing is kept of it."""

    reason = "webhook_delivery_not_found"
    default_message = "webhook delivery not found"


@dataclass(frozen=True, slots=True)
class Redelivery:
    """`queued` is how many events are sent again; `replayed`: a repeat found what the first request had asked for."""

    queued: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """What occurred in [since, until); to the end without `until`."""

    since: datetime
    until: datetime | None = None
    only_failed: bool = False


def redeliver_one(
    engine: Engine, origin: Origin, endpoint_id: UUID, event: EventId, *, give_up_after: timedelta
) -> Redelivery:
    """Raises WebhookEndpointNotFound, WebhookDeliveryNotFound when nothing is kept of it."""
    print_ = fingerprint(str(event))
    with transaction(engine) as connection:
        row = webhook_endpoints.locked(connection, endpoint_id)
        known = _recalled(connection, origin, endpoint_id, print_)
        if known is not None:
            return known
        instant = now(connection)
        asked = {"id": endpoint_id, "subject": event.subject_id, "version": event.version, "epoch": event.epoch}
        if not connection.execute(_ONE, {**asked, "now": instant, "give_up_after": give_up_after}).rowcount:
            raise WebhookDeliveryNotFound
        wish = {"only_failed": False, "found": 1, "last_n": 0, "finished_at": instant}
        _note(connection, origin, endpoint_id, print_, asked_at=instant, **wish)
        webhook_endpoints.told(connection, origin, row, "webhook_endpoint.redelivered", {"events": 1})
        return Redelivery(1)


def redeliver(engine: Engine, origin: Origin, endpoint_id: UUID, wanted: Range) -> Redelivery:
    """All of a range that was queued by now. Raises WebhookEndpointNotFound."""
    ends = [instant.isoformat() if instant else None for instant in (wanted.since, wanted.until)]
    print_ = fingerprint(*ends, str(wanted.only_failed))
    asked = {"id": endpoint_id, "since": wanted.since, "until": wanted.until, "only_failed": wanted.only_failed}
    with snapshot(engine) as connection:
        # Before anything is locked: whoever reads the log waits for nobody who counts.
        known = _recalled(connection, origin, endpoint_id, print_)
        found, last_n = (known.queued, 0) if known else connection.execute(_COUNT, asked).one()
    with transaction(engine) as connection:
        row = webhook_endpoints.locked(connection, endpoint_id)
        known = _recalled(connection, origin, endpoint_id, print_)
        if known is not None:
            return known
        instant = now(connection)
        times = {"since": wanted.since, "until": wanted.until, "asked_at": instant}
        finished_at = None if found else instant
        wish = {"only_failed": wanted.only_failed, "found": found, "last_n": last_n, "finished_at": finished_at}
        _note(connection, origin, endpoint_id, print_, **times, **wish)
        if found:
            webhook_endpoints.told(connection, origin, row, "webhook_endpoint.redelivered", {"events": found})
        return Redelivery(found)


def _recalled(connection: Connection, origin: Origin, endpoint_id: UUID, print_: bytes) -> Redelivery | None:
    id_ = idempotency.recall(connection, origin, OPERATION, print_, scope_id=endpoint_id)
    if id_ is None:
        return None
    found = connection.execute(select(WebhookRedeliveryRow.found).where(WebhookRedeliveryRow.id == id_)).scalar_one()
    return Redelivery(found, replayed=True)


def _note(connection: Connection, origin: Origin, endpoint_id: UUID, print_: bytes, **wish: object) -> None:
    id_ = new_id()
    connection.execute(insert(WebhookRedeliveryRow).values(id=id_, endpoint_id=endpoint_id, after_n=0, **wish))
    idempotency.remember(connection, origin, OPERATION, print_, id_, scope_id=endpoint_id)


_ONE = text(
    f"""
    UPDATE webhook_deliveries AS d
    SET status = 'pending', tries = 0, finished_at = NULL, next_attempt_at = :now,
        give_up_at = CAST(:now AS timestamptz) + :give_up_after
    FROM events e
    WHERE d.endpoint_id = :id AND d.subject_id = :subject AND d.version = :version
      AND e.subject_id = d.subject_id AND e.version = d.version AND {epochs.OF_EVENT} = :epoch
    """  # noqa: S608  constants
)
_COUNT = text(
    """
    SELECT count(*), coalesce(max(n), 0) FROM webhook_deliveries
    WHERE endpoint_id = :id AND occurred_at >= :since
      AND (CAST(:until AS timestamptz) IS NULL OR occurred_at < :until)
      AND (NOT :only_failed OR status = 'failed')
    """
)
