"""Staff who sign in: reading, and knowing them by their password. What is done to them is in `user_changes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Row, Select, func, select, update

from billing.errors import NotFound
from billing.ledger.database import transaction
from billing.text import parse_email
from webapp.identity import passwords
from webapp.identity.roles import Role
from webapp.identity.tables import SecondFactorRow, SessionRow, UserRow


class UserNotFound(NotFound):
    """No user has this id."""

    reason = "user_not_found"
    default_message = "user not found"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with an account here. E-mail addresses are kept in lower case.

    `with_provider`: knows the way in by the OpenID Connect provider. `last_seen_at` is that of open sessions.
    """

    id: UUID
    email: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    version: int
    has_password: bool
    with_provider: bool
    has_second_factor: bool
    last_seen_at: datetime | None


def verified(engine: Engine, email: str, password: str) -> User | None:
    """The user with this address and password; None at the same cost for an unknown one and a wrong one.

    Raises Busy.
    """
    query = _users().where(UserRow.email == as_kept(email), UserRow.disabled_at.is_(None))
    with transaction(engine) as connection:
        row = connection.execute(query).one_or_none()
    if not passwords.matches(row.password_hash if row else None, password) or row is None:
        return None
    if passwords.is_outdated(row.password_hash):
        _rehash(engine, row.id, password)
    return _user_of(row)


def by_id(engine: Engine, user_id: UUID) -> User:
    """Raises UserNotFound."""
    with transaction(engine) as connection:
        row = connection.execute(_users().where(UserRow.id == user_id)).one_or_none()
    if row is None:
        raise UserNotFound
    return _user_of(row)


def by_email(engine: Engine, email: str) -> User:
    """Raises UserNotFound."""
    with transaction(engine) as connection:
        row = connection.execute(_users().where(UserRow.email == as_kept(email))).one_or_none()
    if row is None:
        raise UserNotFound
    return _user_of(row)


def every(engine: Engine) -> Sequence[User]:
    """By address."""
    with transaction(engine) as connection:
        return [_user_of(row) for row in connection.execute(_users().order_by(UserRow.email))]


def normalised_email(text: str) -> str:
    """Raises InvalidArgument for what is no address."""
    return parse_email(text.strip()).lower()


def as_kept(text: str) -> str:
    """Whatever was typed as an address, as one is looked for and attempts are counted: the same for both."""
    return text.replace("\0", "").strip().lower()


def _users() -> Select[Any]:
    seen = select(func.max(SessionRow.last_seen_at)).where(SessionRow.user_id == UserRow.id).scalar_subquery()
    factor = select(SecondFactorRow.user_id).where(SecondFactorRow.user_id == UserRow.id).exists()
    return select(UserRow.__table__, factor.label("has_second_factor"), seen.label("last_seen_at"))


def _rehash(engine: Engine, user_id: UUID, password: str) -> None:
    with transaction(engine) as connection:
        connection.execute(
            update(UserRow).where(UserRow.id == user_id).values(password_hash=passwords.rehashed(password))
        )


def _user_of(row: Row[Any]) -> User:
    return User(
        row.id,
        row.email,
        Role(row.role),
        row.created_at,
        row.disabled_at,
        row.version,
        has_password=bool(row.password_hash),
        with_provider=row.oidc_subject is not None,
        has_second_factor=row.has_second_factor,
        last_seen_at=row.last_seen_at,
    )
