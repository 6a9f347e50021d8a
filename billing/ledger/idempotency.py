"""Idempotency keys: only success is remembered, in the transaction that succeeded, for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection, Engine, insert, select, text

from billing.errors import IdempotencyKeyReused
from billing.ledger import database
from billing.ledger.tables.log import IdempotencyKeyRow as Key
from billing.origin import Origin


def recall(
    connection: Connection,
    origin: Origin,
    operation: str,
    fingerprint: bytes,
    *,
    scope_id: UUID | None = None,
) -> UUID | None:
    """What the first request with this key made, or None if there was none.

    Call it with the bill's row locked, or after `wait_for_twin`: a repeat must not overtake the first.
    Raises IdempotencyKeyReused for other values.
    """
    if origin.idempotency_key is None:
        return None
    found = connection.execute(
        select(Key.fingerprint, Key.result_id).where(
            Key.scope_id == (scope_id or origin.account_id),
            Key.account_id == origin.account_id,
            Key.operation == operation,
            Key.key == origin.idempotency_key,
        )
    ).one_or_none()
    if found is None:
        return None
    if bytes(found.fingerprint) != fingerprint:
        raise IdempotencyKeyReused
    result: UUID = found.result_id
    return result


def remember(
    connection: Connection,
    origin: Origin,
    operation: str,
    fingerprint: bytes,
    result_id: UUID,
    *,
    scope_id: UUID | None = None,
) -> None:
    if origin.idempotency_key is None:
        return
    connection.execute(
        insert(Key).values(
            scope_id=scope_id or origin.account_id,
            account_id=origin.account_id,
            operation=operation,
            key=origin.idempotency_key,
            fingerprint=fingerprint,
            result_id=result_id,
        )
    )


def known_additions(engine: Engine, origin: Origin, bill_id: UUID, keys: Sequence[str]) -> Mapping[str, bytes]:
    """Which of these keys have added items to the bill, or have asked for it, with their fingerprints."""
    found = database.rows(engine, KNOWN_ADDITIONS, (bill_id, origin.account_id, list(keys)) * 2)
    return {row.key: bytes(row.fingerprint) for row in found}


# Of a bill, an account and keys, twice.
KNOWN_ADDITIONS = """
    SELECT key, fingerprint FROM idempotency_keys
    WHERE scope_id = %s AND account_id = %s AND operation IN ('add_line_item', 'add_line_items') AND key = ANY(%s)
    UNION
    SELECT key, fingerprint FROM line_item_requests WHERE bill_id = %s AND account_id = %s AND key = ANY(%s)
"""


def wait_for_twin(connection: Connection, origin: Origin, operation: str) -> None:
    """Where there is no bill to lock yet: a request with the same key waits here for the first to end."""
    if origin.idempotency_key is None:
        return
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"{origin.account_id}/{operation}/{origin.idempotency_key}"},
    )
