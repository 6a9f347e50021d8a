"""Where events are sent to, which ones are to be sent, and how sending them went."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import NOW, ROOM_FOR_UPDATES, Base, Instant
from billing.ledger.tables.log import Xid8

PENDING = text("status = 'pending'")


class WebhookEndpointRow(Base):
    """An address, and up to which place in the log (`xid`, `seq`) events for it are queued.

    `types`: NULL for all. Secrets are sealed; the previous one signs beside the other until `previous_secret_until`.
    `failing_since`: nothing has arrived since then, though it was tried. `rests_until`: nothing is tried before.
    `due_at`: when its workflow is to look again, NULL when nothing is due. One that is deleted is seen by nobody; it
    goes with the last of its deliveries.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("length(url) BETWEEN 1 AND 2048", name="url_length"),
        CheckConstraint("cardinality(types) > 0", name="some_type"),
        CheckConstraint("status IN ('active', 'paused', 'deleted')", name="status_known"),
        CheckConstraint("paused_reason IN ('by_hand', 'failing')", name="paused_reason_known"),
        CheckConstraint(
            "num_nulls(paused_reason, paused_at) = CASE status WHEN 'paused' THEN 0 ELSE 2 END", name="paused_since"
        ),
        CheckConstraint("num_nulls(previous_secret, previous_secret_until) IN (0, 2)", name="previous_secret_until"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    types: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    status: Mapped[str] = mapped_column(Text, server_default="active")
    paused_reason: Mapped[str | None] = mapped_column(Text)
    paused_at: Mapped[datetime | None] = mapped_column(Instant)
    secret: Mapped[str] = mapped_column(Text)
    previous_secret: Mapped[str | None] = mapped_column(Text)
    previous_secret_until: Mapped[datetime | None] = mapped_column(Instant)
    xid: Mapped[int] = mapped_column(Xid8)
    seq: Mapped[int] = mapped_column(BigInteger)
    failing_since: Mapped[datetime | None] = mapped_column(Instant)
    rests_until: Mapped[datetime | None] = mapped_column(Instant)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)


class WebhookDeliveryRow(Base):
    """An event on its way to an endpoint, or sent. Those of one subject go out in the order of `n`.

    `attempts` were made in all, `tries` of them since it was queued for the last time.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status_known"),
        CheckConstraint("(status = 'pending') = (finished_at IS NULL)", name="finished_unless_pending"),
        UniqueConstraint("endpoint_id", "subject_id", "version"),
        Index("ix_webhook_deliveries_pending", "endpoint_id", "subject_id", "n", postgresql_where=PENDING),
        Index("ix_webhook_deliveries_finished", "finished_at", postgresql_where=text("status <> 'pending'")),
        ROOM_FOR_UPDATES,
    )

    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    subject_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(Instant)
    status: Mapped[str] = mapped_column(Text, server_default="pending")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    tries: Mapped[int] = mapped_column(Integer, server_default="0")
    queued_at: Mapped[datetime] = mapped_column(Instant)
    next_attempt_at: Mapped[datetime] = mapped_column(Instant)
    give_up_at: Mapped[datetime] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)


class WebhookAttemptRow(Base):
    """How one attempt went: the answer's status, or the error that kept it from coming."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["endpoint_id", "delivery"],
            ["webhook_deliveries.endpoint_id", "webhook_deliveries.n"],
            ondelete="CASCADE",
            name="fk_webhook_attempts_delivery",
        ),
        CheckConstraint("octet_length(excerpt) <= 4096", name="excerpt_short"),
    )

    endpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
    delivery: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    attempted_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    status: Mapped[int | None] = mapped_column(SmallInteger)
    latency_ms: Mapped[int] = mapped_column(Integer)
    excerpt: Mapped[str] = mapped_column(Text, server_default="")
    error: Mapped[str | None] = mapped_column(Text)


class WebhookBacklogRow(Base):
    """A bill (or customer, or whatever it is) of which so much is queued that the rest waits in the log: its events
    from this version on."""

    __tablename__ = "webhook_backlogs"

    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    from_version: Mapped[int] = mapped_column(BigInteger)


class WebhookRedeliveryRow(Base):
    """A wish to send again what occurred in [`since`, `until`); `since` is NULL for one of a single event.

    `found` is how many they were, `last_n` the last delivery that there was, and `after_n` how far it is carried out.
    """

    __tablename__ = "webhook_redeliveries"
    __table_args__ = (
        Index("ix_webhook_redeliveries_unfinished", "endpoint_id", "id", postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), index=True)
    since: Mapped[datetime | None] = mapped_column(Instant)
    until: Mapped[datetime | None] = mapped_column(Instant)
    only_failed: Mapped[bool]
    asked_at: Mapped[datetime] = mapped_column(Instant)
    found: Mapped[int] = mapped_column(BigInteger)
    after_n: Mapped[int] = mapped_column(BigInteger)
    last_n: Mapped[int] = mapped_column(BigInteger)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
