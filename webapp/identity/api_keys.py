"""Integrators' API keys: bearer tokens that belong to an account, shown once, stored hashed, revocable.

What a key opens is settled when it is made: its scopes, and the customers it is bound to, if any. For other ones there
is another key of the same name, which goes on with the same idempotency keys.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, FromClause, Row, ScalarSelect, case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from billing.errors import InvalidArgument, NotFound
from billing.identifiers import new_id
from billing.ledger import customers as ledger_customers
from billing.ledger import events, idempotency
from billing.ledger.clock import now
from billing.ledger.database import transaction
from billing.origin import Origin, by_the_system, fingerprint
from webapp.identity import scopes as known_scopes
from webapp.identity.roles import Role
from webapp.identity.scopes import LIVE_ONLY, OF_ROLE, Scope
from webapp.identity.tables import AccountRow, ApiKeyRow
from webapp.identity.tokens import new_token, token_hash

PREFIX = "pave_"
TEST_PREFIX = "pave_test_"
HINTED = 6
LONGEST_NAME = 255
MOST_CUSTOMERS = 100
BY_A_COMMAND = by_the_system("pave-api-keys")


class ApiKeyNotFound(NotFound):
    """No API key has this id."""

    reason = "api_key_not_found"
    default_message = "API key not found"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it can be listed: `hint` is how its token begins, the rest is known to its holder alone.

    `customers` are those it is bound to, by their own ids; empty for a key that is bound to none in particular. `test`:
    it opens test mode alone, and these are customers of test mode.
    """

    id: UUID
    name: str
    scopes: frozenset[Scope]
    customers: tuple[str, ...]
    test: bool
    hint: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key. `token` is None when a repeat of the request finds the key that the first one made."""

    id: UUID
    token: str | None


def create(
    engine: Engine,
    *,
    name: str,
    role: Role | None = None,
    scopes: Collection[Scope] = (),
    customers: Collection[str] = (),
    test: bool = False,
) -> str:
    """A new key's token, made from a shell. `role`: every scope that goes with it, as far as test keys have it."""
    of_role = (OF_ROLE[role] if role else frozenset()) - (LIVE_ONLY if test else frozenset())
    granted = {*scopes, *of_role}
    token = issue(engine, BY_A_COMMAND, name=name, scopes=granted, customers=customers, test=test).token
    assert token is not None, "without an idempotency key there is no repeat"
    return token


def issue(
    engine: Engine,
    origin: Origin,
    *,
    name: str,
    scopes: Collection[Scope],
    customers: Collection[str] = (),
    test: bool = False,
) -> Issued:
    """A new key, bound to these customers if there are any. Keys of one name belong to one account, so a new key goes
    on where the old ended, within its mode.

    Raises InvalidArgument for customers nobody knows, and for a test key that would open what is shared.
    """
    granted = known_scopes.in_order(known_scopes.parse(scopes))
    if test and not LIVE_ONLY.isdisjoint(granted):
        raise InvalidArgument(f"a test key cannot have {', '.join(sorted(LIVE_ONLY))}", field="scopes")
    bound = sorted(set(customers))
    prefix = TEST_PREFIX if test else PREFIX
    token, print_ = new_token(prefix), fingerprint(name, " ".join(granted), *bound, *(["test"] if test else []))
    with transaction(engine) as connection:
        idempotency.wait_for_twin(connection, origin, "issue_api_key")
        known = idempotency.recall(connection, origin, "issue_api_key", print_)
        if known:
            return Issued(known, None)
        key_id, ids = new_id(), _ids_of(connection, bound, test=test)
        connection.execute(insert(AccountRow).values(id=new_id(), name=name).on_conflict_do_nothing())
        account_id = connection.execute(select(AccountRow.id).where(AccountRow.name == name)).scalar_one()
        connection.execute(
            insert(ApiKeyRow).values(
                id=key_id,
                account_id=account_id,
                token_hash=key_hash(token),
                hint=token[: len(prefix) + HINTED],
                # For processes of the version before: they know no key that a role doesn't describe.
                role=None if ids else known_scopes.role_with(granted),
                scopes=granted,
                customer_ids=ids or None,
                test=test,
            )
        )
        data = {"name": name, "scopes": granted, "customers": [str(id_) for id_ in ids], "test": test}
        events.append(connection, origin, "api_key.created", ("api_key", key_id), 1, now(connection), data)
        idempotency.remember(connection, origin, "issue_api_key", print_, key_id)
    return Issued(key_id, token)


def key_hash(token: str) -> bytes:
    """What is stored of it. A test key's isn't what processes of the version before look for, which would take it for
    a live one."""
    return token_hash(f"test {token}" if token.startswith(TEST_PREFIX) else token)


def _ids_of(connection: Connection, external_ids: Sequence[str], *, test: bool) -> list[UUID]:
    if len(external_ids) > MOST_CUSTOMERS:
        raise InvalidArgument(f"a key cannot be bound to more than {MOST_CUSTOMERS} customers", field="customers")
    found = ledger_customers.ids_of(connection, external_ids, test=test)
    unknown = next((one for one in external_ids if one not in found), None)
    if unknown is not None:
        raise InvalidArgument(f"no customer has the id {unknown}", reason="customer_not_found", field="customers")
    return [found[one] for one in external_ids]


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


def _bound_to(customers: FromClause) -> ScalarSelect[Any]:
    names = select(func.array_agg(customers.c.external_id)).where(customers.c.id == func.any(ApiKeyRow.customer_ids))
    return names.correlate(ApiKeyRow).scalar_subquery()


_LIVE, _TEST = (ledger_customers.table(test=test) for test in (False, True))
_BOUND_TO = case((ApiKeyRow.test, _bound_to(_TEST)), else_=_bound_to(_LIVE))
_KEYS = select(ApiKeyRow.__table__, AccountRow.name, _BOUND_TO.label("customers")).join(
    AccountRow, AccountRow.id == ApiKeyRow.account_id
)


def _key_of(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id, row.name, granted(row), tuple(sorted(row.customers or ())), row.test, row.hint, row.created_at,
        row.last_used_at, row.revoked_at,
    )  # fmt: skip


def granted(row: Any) -> frozenset[Scope]:
    """What a stored key opens. One without scopes was made by a process of the version before, for a role."""
    return frozenset(map(Scope, row.scopes)) if row.scopes is not None else OF_ROLE[Role(row.role)]
