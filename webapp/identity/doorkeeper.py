"""Whose key a request of the API carries, and whether what it is about is that key's to see."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar
from uuid import UUID

from flask import g, request
from sqlalchemy import Engine

from billing.errors import BillNotFound, CustomerNotFound
from billing.identifiers import parse_id
from billing.ledger import reads
from billing.ledger.database import one_row, single_statement
from billing.origin import Actor, ActorKind
from webapp.identity.access import KeyBound
from webapp.identity.api_keys import PREFIX, granted, key_hash
from webapp.identity.caller import Caller
from webapp.identity.rate_limits import RateLimited, RateLimiter

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

LONGEST_TOKEN = 200
REMEMBERED_FOR_S = 30.0
MOST_REMEMBERED = 1_000
MOST_BILLS_REMEMBERED = 20_000

# Runs before most calls of the API: one round trip, by the unique index of the hash.
_LOOK_UP = """
    SELECT k.id, k.account_id, k.role, k.scopes, k.customer_ids, k.test, a.name,
           coalesce(k.last_used_at < clock_timestamp() - interval '1 minute', true) AS use_unrecorded
    FROM api_keys k JOIN accounts a ON a.id = k.account_id
    WHERE k.token_hash = %s AND k.revoked_at IS NULL
"""
_RECORD_USE = """
    UPDATE api_keys SET last_used_at = clock_timestamp()
    WHERE id = %s AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')
"""


class Doorkeeper:
    """One a process, for all threads.

    What a key stands for never changes but by its being revoked, so that is remembered for a while, for those who ask
    whether it still holds together with what they do. A key that isn't known here, or wasn't good, is always looked up.
    """

    def __init__(self, engine: Engine, limiter: RateLimiter, *, test_engine: Engine):
        self._engine = engine
        self._test_engine = test_engine
        self._limiter = limiter
        self._seen: _Newest[bytes, tuple[Caller, float]] = _Newest(MOST_REMEMBERED)
        # Bills that a bound key may know of: whose a bill is never changes. Others are never remembered, so that how
        # long an answer takes doesn't tell them from those that there aren't.
        self._theirs: _Newest[tuple[str, UUID], bool] = _Newest(MOST_BILLS_REMEMBERED)

    def authenticate(self, *, is_confirmed_later: bool = False) -> Caller | None:
        """Whose key this request carries; None without one, or with one that is unknown or revoked.

        A caller that `is_confirmed_later` may be one with a `key_to_confirm`. Counts the request: raises RateLimited,
        of a key that was used before without asking the database.
        """
        hash_ = _presented()
        if hash_ is None:
            return None
        seen = self._seen.get(hash_)
        if seen is not None:
            self._count(seen[0])
            if is_confirmed_later and time.monotonic() - seen[1] < REMEMBERED_FOR_S:
                return seen[0]
        caller = self._look_up(hash_)
        if seen is None and caller is not None:
            self._count(caller)
        return caller

    def _count(self, caller: Caller) -> None:
        """Answers tell how the key stands."""
        try:
            g.rate_standing = self._limiter.take(UUID(caller.actor.id))
        except RateLimited as refusal:
            g.rate_standing = refusal.standing
            raise

    def confirm(self) -> Caller | None:
        """Looks up whose it is, whatever is remembered."""
        hash_ = _presented()
        return None if hash_ is None else self._look_up(hash_)

    def refuse_others(self, caller: Caller, address: Mapping[str, Any]) -> None:
        """What an address leads to is another customer's, or isn't there: to a bound key that is one and the same.

        Raises BillNotFound or CustomerNotFound.
        """
        if "bill_id" in address:
            self._refuse_others_bill(caller, parse_id(address["bill_id"], BillNotFound))
        elif "customer_id" in address:
            self._refuse_other_customer(caller, address["customer_id"])

    def _refuse_others_bill(self, caller: Caller, bill_id: UUID) -> None:
        one = (caller.actor.id, bill_id)
        if one in self._theirs:
            return
        if reads.customer_of_bill(self._ledger_of(caller), bill_id) not in (caller.customers or ()):
            raise BillNotFound
        self._theirs.put(one, value=True)

    def _refuse_other_customer(self, caller: Caller, external_id: str) -> None:
        if reads.customer_id(self._ledger_of(caller), external_id) not in (caller.customers or ()):
            raise CustomerNotFound

    def _ledger_of(self, caller: Caller) -> Engine:
        return self._test_engine if caller.test else self._engine

    def _look_up(self, hash_: bytes) -> Caller | None:
        key = one_row(self._engine, _LOOK_UP, (hash_,))
        if key is None:
            self._seen.drop(hash_)
            return None
        if key.use_unrecorded:
            with single_statement(self._engine) as connection:
                connection.exec_driver_sql(_RECORD_USE, (key.id,))
        actor = Actor(ActorKind.API_KEY, str(key.id), key.name)
        bound = None if key.customer_ids is None else frozenset(key.customer_ids)
        caller = Caller(key.account_id, actor, scopes=granted(key), customers=bound, test=key.test)
        self._seen.put(hash_, (replace(caller, key_to_confirm=key.id), time.monotonic()))
        return caller


def refuse_to_open_for(engine: Engine, external_id: str) -> None:
    """Keeps a bound key to its own customers where the body names one. Raises KeyBound, whether or not there is
    another customer of that name."""
    caller: Caller = g.caller
    if caller.customers is not None and reads.customer_id(engine, external_id) not in caller.customers:
        raise KeyBound


class _Newest(Generic[Key, Value]):
    """So many at most; those put last stay longest."""

    def __init__(self, most: int):
        self._most = most
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def get(self, key: Key) -> Value | None:
        return self._kept.get(key)

    def put(self, key: Key, value: Value) -> None:
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def drop(self, key: Key) -> None:
        with self._lock:
            self._kept.pop(key, None)


def _presented() -> bytes | None:
    """The hash of the token in this request, if it carries what may be one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token.startswith(PREFIX) or len(token) > LONGEST_TOKEN or not token.isascii():
        return None
    return key_hash(token)
