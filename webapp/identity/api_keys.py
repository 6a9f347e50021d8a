"""Integrators' API keys: bearer tokens that belong to an account, shown once, stored hashed, revocable."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
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


REMEMBERED_FOR_S = 30.0
MOST_REMEMBERED = 1_000


class Doorkeeper:
    """Knows whose key a request carries. One a process, for all threads.

    What a key stands for never changes but by its being revoked, so that is remembered for a while, for those who ask
    whether it still holds together with what they do. A key that isn't known here, or wasn't good, is always looked up.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._seen: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self._lock = threading.Lock()

    def authenticate(self, *, is_confirmed_later: bool = False) -> Caller | None:
        """Whose key this request carries; None without one, or with one that is unknown or revoked.

        A caller that `is_confirmed_later` may be one with a `key_to_confirm`.
        """
        token = _bearer_token(request.headers.get("Authorization", ""))
        if token is None:
            return None
        hash_ = token_hash(token)
        if is_confirmed_later:
            seen = self._seen.get(hash_)
            if seen is not None and time.monotonic() - seen[1] < REMEMBERED_FOR_S:
                return seen[0]
        return self._look_up(hash_)

    def _look_up(self, hash_: bytes) -> Caller | None:
        key = one_row(self._engine, _LOOK_UP, (hash_,))
        if key is None:
            self._seen.pop(hash_, None)
            return None
        if key.use_unrecorded:
            with single_statement(self._engine) as connection:
                connection.exec_driver_sql(_RECORD_USE, (key.id,))
        caller = Caller(key.account_id, Actor(ActorKind.API_KEY, str(key.id), key.name), Role(key.role))
        with self._lock:
            self._seen[hash_] = replace(caller, key_to_confirm=key.id), time.monotonic()
            self._seen.move_to_end(hash_)
            if len(self._seen) > MOST_REMEMBERED:
                self._seen.popitem(last=False)
        return caller


def _bearer_token(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token.startswith(PREFIX) or len(token) > LONGEST_TOKEN:
        return None
    return token if token.isascii() else None
