"""Integrators' API keys: bearer tokens that belong to an account, shown once, stored hashed, revocable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import request
from sqlalchemy import Engine, Row, select, update
from sqlalchemy.dialects.postgresql import insert

from billing.errors import NotFound
from billing.identifiers import new_id
from billing.ledger import events, idempotency
from billing.ledger.clock import now
from billing.ledger.database import one_row, single_statement, transaction
from billing.origin import Actor, ActorKind, Origin, by_the_system, fingerprint
from webapp.identity.caller import Caller
from webapp.identity.roles import Role
from webapp.identity.tables import AccountRow, ApiKeyRow
from webapp.identity.tokens import new_token, token_hash

PREFIX = "pave_"
HINT_LENGTH = len(PREFIX) + 6
LONGEST_TOKEN = 200
LONGEST_NAME = 255
BY_A_COMMAND = by_the_system("pave-api-keys")


class ApiKeyNotFound(NotFound):
    """No API key has this id."""

    reason = "api_key_not_found"
    default_message = "API key not found"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it can be listed: `hint` is how its token begins, the rest is known to its holder alone."""

    id: UUID
    name: str
    role: Role
    hint: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key. `token` is None when a repeat of the request finds the key that the first one made."""

    id: UUID
    token: str | None


def create(engine: Engine, *, name: str, role: Role) -> str:
    """A new key's token, made from a shell."""
    token = issue(engine, BY_A_COMMAND, name=name, role=role).token
    assert token is not None, "without an idempotency key there is no repeat"
    return token


def issue(engine: Engine, origin: Origin, *, name: str, role: Role) -> Issued:
    """A new key. Keys of one name belong to one account, so a new key goes on where the old ended."""
    token, print_ = new_token(PREFIX), fingerprint(name, role)
    with transaction(engine) as connection:
        idempotency.wait_for_twin(connection, origin, "issue_api_key")
        known = idempotency.recall(connection, origin, "issue_api_key", print_)
        if known:
            return Issued(known, None)
        key_id = new_id()
        connection.execute(insert(AccountRow).values(id=new_id(), name=name).on_conflict_do_nothing())
        account_id = connection.execute(select(AccountRow.id).where(AccountRow.name == name)).scalar_one()
        connection.execute(
            insert(ApiKeyRow).values(
                id=key_id, account_id=account_id, token_hash=token_hash(token), hint=token[:HINT_LENGTH], role=role
            )
        )
        data = {"name": name, "role": role}
        events.append(connection, origin, "api_key.created", ("api_key", key_id), 1, now(connection), data)
        idempotency.remember(connection, origin, "issue_api_key", print_, key_id)
    return Issued(key_id, token)


def revoke(engine: Engine, key_id: UUID, origin: Origin = BY_A_COMMAND) -> None:
    """From this moment on the key opens nothing. Raises ApiKeyNotFound."""
    with transaction(engine) as connection:
        key = connection.execute(
            select(ApiKeyRow.revoked_at).where(ApiKeyRow.id == key_id).with_for_update()
        ).one_or_none()
        if key is None:
            raise ApiKeyNotFound
        if key.revoked_at is not None:
            return
        instant = now(connection)
        connection.execute(update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(revoked_at=instant))
        events.append(connection, origin, "api_key.revoked", ("api_key", key_id), 2, instant)


def by_id(engine: Engine, key_id: UUID) -> ApiKey:
    """Raises ApiKeyNotFound."""
    with transaction(engine) as connection:
        row = connection.execute(_KEYS.where(ApiKeyRow.id == key_id)).one_or_none()
    if row is None:
        raise ApiKeyNotFound
    return _key_of(row)


def every(engine: Engine) -> Sequence[ApiKey]:
    """All keys, oldest first, revoked ones included."""
    with transaction(engine) as connection:
        return [_key_of(row) for row in connection.execute(_KEYS.order_by(ApiKeyRow.id))]


_KEYS = select(ApiKeyRow.__table__, AccountRow.name).join(AccountRow, AccountRow.id == ApiKeyRow.account_id)


def _key_of(row: Row[Any]) -> ApiKey:
    return ApiKey(row.id, row.name, Role(row.role), row.hint, row.created_at, row.last_used_at, row.revoked_at)


# Runs before every call of the API: one round trip, by the unique index of the hash.
_LOOK_UP = """
    SELECT k.id, k.account_id, k.role, a.name,
           coalesce(k.last_used_at < clock_timestamp() - interval '1 minute', true) AS use_unrecorded
    FROM api_keys k JOIN accounts a ON a.id = k.account_id
    WHERE k.token_hash = %s AND k.revoked_at IS NULL
"""
_RECORD_USE = """
    UPDATE api_keys SET last_used_at = clock_timestamp()
    WHERE id = %s AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')
"""


def authenticate(engine: Engine) -> Caller | None:
    """Whose key this request carries; None without one, or with one that is unknown or revoked."""
    token = _bearer_token(request.headers.get("Authorization", ""))
    if token is None:
        return None
    key = one_row(engine, _LOOK_UP, (token_hash(token),))
    if key is None:
        return None
    if key.use_unrecorded:
        with single_statement(engine) as connection:
            connection.exec_driver_sql(_RECORD_USE, (key.id,))
    return Caller(key.account_id, Actor(ActorKind.API_KEY, str(key.id), key.name), Role(key.role))


def _bearer_token(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token.startswith(PREFIX) or len(token) > LONGEST_TOKEN:
        return None
    return token if token.isascii() else None
