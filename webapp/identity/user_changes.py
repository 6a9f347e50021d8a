"""What is done to users, each with its event in the same transaction; no event holds a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from billing.errors import AlreadyExists, FailedPrecondition
from billing.identifiers import new_id
from billing.ledger import events, idempotency
from billing.ledger.clock import now
from billing.ledger.database import transaction
from billing.origin import Origin, by_the_system, fingerprint
from webapp.identity import passwords, users
from webapp.identity.roles import Role
from webapp.identity.tables import SecondFactorRow, SessionRow, UserRow
from webapp.identity.users import UserNotFound

BY_A_COMMAND = by_the_system("pave-users")


class LastAdministrator(FailedPrecondition):
    """Somebody must be left who can let others in."""

    reason = "last_administrator"
    default_message = "this is the last administrator: make somebody else one first"


class OwnAccount(FailedPrecondition):
    """What needs the own password isn't done to oneself as an administrator."""

    reason = "own_account"
    default_message = "this is your own account: do it under Your account"


def create(engine: Engine, *, email: str, password: str, role: Role) -> UUID:
    """A new user, made from a shell. Raises as `add` does."""
    return add(engine, BY_A_COMMAND, email=email, password=password, role=role)[0]


def add(
    engine: Engine, origin: Origin, *, email: str, password: str | None, role: Role, subject: str | None = None
) -> tuple[UUID, bool]:
    """A user, and whether it is new: a repeat with the same idempotency key finds whom the first one made.

    Without a password, one who comes by the provider as `subject`. Raises InvalidArgument, or AlreadyExists for an
    address that is taken.
    """
    email = users.normalised_email(email)
    password_hash = None if password is None else passwords.hash_password(password, email=email)
    print_ = fingerprint(email, role)
    with transaction(engine) as connection:
        idempotency.wait_for_twin(connection, origin, "add_user")
        known = idempotency.recall(connection, origin, "add_user", print_)
        if known:
            return known, False
        user_id = connection.execute(
            insert(UserRow)
            .values(id=new_id(), email=email, password_hash=password_hash, role=role, oidc_subject=subject)
            .on_conflict_do_nothing(index_elements=["email"])
            .returning(UserRow.id)
        ).scalar_one_or_none()
        if user_id is None:
            raise AlreadyExists("a user with this e-mail address exists", field="email")
        data = {"role": role, "by_provider": subject is not None}
        events.append(connection, origin, "user.created", ("user", user_id), 1, now(connection), data)
        idempotency.remember(connection, origin, "add_user", print_, user_id)
    return user_id, True


def change_role(engine: Engine, origin: Origin, user_id: UUID, role: Role) -> None:
    """From the next request on. Raises LastAdministrator."""
    with changing(engine, origin, user_id) as change:
        if change.user.role == role:
            return
        if change.user.role == Role.ADMIN:
            change.refuse_last_administrator()
        change.write("user.role_changed", {"was": change.user.role, "role": role}, role=role)


def disable(engine: Engine, origin: Origin, user_id: UUID) -> None:
    """Ends the sessions of this user at once. Raises LastAdministrator."""
    with changing(engine, origin, user_id) as change:
        if change.user.disabled_at is not None:
            return
        if change.user.role == Role.ADMIN:
            change.refuse_last_administrator()
        change.write("user.disabled", disabled_at=func.clock_timestamp())
        change.end_sessions()


def enable(engine: Engine, origin: Origin, user_id: UUID) -> None:
    with changing(engine, origin, user_id) as change:
        if change.user.disabled_at is not None:
            change.write("user.enabled", disabled_at=None)


def reset_password(engine: Engine, origin: Origin, user_id: UUID, password: str) -> None:
    """Sets another user's password and ends their sessions. Raises InvalidArgument, OwnAccount."""
    # Before the lock that every change of users takes: a hash is slow, and may have to wait for others.
    hashed = passwords.hash_password(password, email=users.by_id(engine, user_id).email)
    with changing(engine, origin, user_id) as change:
        change.refuse_own_account()
        change.write("user.password_reset", password_hash=hashed)
        change.end_sessions()


def remove_second_factor(engine: Engine, origin: Origin, user_id: UUID) -> None:
    """Another user's, who lost it; ends their sessions. Raises OwnAccount."""
    with changing(engine, origin, user_id) as change:
        change.refuse_own_account()
        removed = change.connection.execute(delete(SecondFactorRow).where(SecondFactorRow.user_id == user_id))
        if removed.rowcount:
            change.write("user.second_factor_removed")
            change.end_sessions()


@dataclass(frozen=True, slots=True)
class Change:
    """A user whose row is locked, in a transaction that changes it."""

    connection: Connection
    origin: Origin
    user: Row[Any]

    def write(self, event: str, data: Mapping[str, Any] | None = None, **values: object) -> None:
        """The change and its event."""
        version = self.connection.execute(
            update(UserRow)
            .where(UserRow.id == self.user.id)
            .values(version=UserRow.version + 1, **values)
            .returning(UserRow.version)
        ).scalar_one()
        subject = ("user", self.user.id)
        events.append(self.connection, self.origin, event, subject, version, now(self.connection), data)

    def end_sessions(self, *, but: UUID | None = None) -> None:
        ended = delete(SessionRow).where(SessionRow.user_id == self.user.id)
        self.connection.execute(ended if but is None else ended.where(SessionRow.id != but))

    def refuse_last_administrator(self) -> None:
        others = select(UserRow.id).where(
            UserRow.role == Role.ADMIN, UserRow.disabled_at.is_(None), UserRow.id != self.user.id
        )
        if self.connection.execute(others.limit(1)).one_or_none() is None:
            raise LastAdministrator

    def refuse_own_account(self) -> None:
        if self.origin.actor.id == str(self.user.id):
            raise OwnAccount


@contextmanager
def changing(engine: Engine, origin: Origin, user_id: UUID) -> Iterator[Change]:
    """One after the other: two administrators can't each take the role of the last other one.

    Raises UserNotFound.
    """
    with transaction(engine) as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended('users', 0))")
        query = select(UserRow.__table__).where(UserRow.id == user_id).with_for_update()
        user = connection.execute(query).one_or_none()
        if user is None:
            raise UserNotFound
        yield Change(connection, origin, user)
