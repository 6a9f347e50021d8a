"""Staff who sign in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine, select, update
from sqlalchemy.dialects.postgresql import insert

from billing.errors import AlreadyExists
from billing.identifiers import new_id
from billing.ledger.database import transaction
from billing.text import parse_email
from webapp.identity import passwords
from webapp.identity.roles import Role
from webapp.identity.tables import UserRow


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with an account here. E-mail addresses are kept in lower case."""

    id: UUID
    email: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None


def create(engine: Engine, *, email: str, password: str, role: Role) -> UUID:
    """Raises InvalidArgument, or AlreadyExists for an address that is taken."""
    email = normalised_email(email)
    password_hash = passwords.hash_password(password)
    with transaction(engine) as connection:
        created = connection.execute(
            insert(UserRow)
            .values(id=new_id(), email=email, password_hash=password_hash, role=role)
            .on_conflict_do_nothing(index_elements=["email"])
            .returning(UserRow.id)
        ).scalar_one_or_none()
    if created is None:
        raise AlreadyExists("a user with this e-mail address exists", field="email")
    return created


def normalised_email(text: str) -> str:
    return parse_email(text.strip()).lower()


def verified(engine: Engine, email: str, password: str) -> User | None:
    """The user with this address and password; None at the same cost for an unknown one and a wrong one."""
    query = select(UserRow.__table__).where(
        UserRow.email == email.strip().lower().replace("\0", ""), UserRow.disabled_at.is_(None)
    )
    with transaction(engine) as connection:
        row = connection.execute(query).one_or_none()
    if not passwords.matches(row.password_hash if row else None, password) or row is None:
        return None
    if passwords.is_outdated(row.password_hash):
        _rehash(engine, row.id, password)
    return _user_of(row)


def every(engine: Engine) -> Sequence[User]:
    with transaction(engine) as connection:
        return [_user_of(row) for row in connection.execute(select(UserRow.__table__).order_by(UserRow.email))]


def _rehash(engine: Engine, user_id: UUID, password: str) -> None:
    with transaction(engine) as connection:
        connection.execute(
            update(UserRow).where(UserRow.id == user_id).values(password_hash=passwords.hash_password(password))
        )


def _user_of(row: object) -> User:
    return User(row.id, row.email, Role(row.role), row.created_at, row.disabled_at)  # type: ignore[attr-defined]
