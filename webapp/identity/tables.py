"""Who may come in: staff and their sessions, integrators' accounts and their API keys."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, LargeBinary, Text, Uuid, false, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import NOW, Base, Instant

ROLE_KNOWN = "role IN ('viewer', 'operator', 'admin')"


class UserRow(Base):
    """Staff. Without a password hash, somebody who signs in with the OpenID Connect provider only."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(ROLE_KNOWN, name="role_known"),
        CheckConstraint("email = lower(email)", name="email_lower"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    password_hash: Mapped[str | None] = mapped_column(Text)
    oidc_subject: Mapped[str | None] = mapped_column(Text, unique=True)
    role: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))


class SessionRow(Base):
    """A signed-in browser, or one that has yet to give its second factor. Only the SHA-256 of its token is kept."""

    __tablename__ = "sessions"
    __table_args__ = (CheckConstraint("method IN ('password', 'oidc')", name="method_known"),)

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    last_seen_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(Instant, index=True)
    id: Mapped[UUID] = mapped_column(unique=True, server_default=text("gen_random_uuid()"))
    browser: Mapped[str] = mapped_column(Text, server_default="")
    method: Mapped[str] = mapped_column(Text, server_default="password")
    awaits_code: Mapped[bool] = mapped_column(server_default=false())


class SecondFactorRow(Base):
    """What an authenticator app shares with us, encrypted; `last_step` is the newest 30 s whose code was used."""

    __tablename__ = "second_factors"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[str] = mapped_column(Text)
    last_step: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)


class RecoveryCodeRow(Base):
    """In place of an app that is lost. Only the SHA-256 is kept."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("second_factors.user_id", ondelete="CASCADE"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class AttemptRow(Base):
    """How often something was tried until `ends_at`. Not logged: what a crash takes away is soon over anyway."""

    __tablename__ = "attempts"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012 - SQLAlchemy's own name

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    ends_at: Mapped[datetime] = mapped_column(Instant, index=True)


class AccountRow(Base):
    """An integration. It owns idempotency keys, so that a replaced API key keeps them."""

    __tablename__ = "accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)


class ApiKeyRow(Base):
    """A bearer credential of an account. Only its SHA-256 is kept, and its first characters to tell keys apart.

    `scopes` are what it opens. `role` is what the version before reads, and writes without scopes: a role that has
    exactly these, or null. `customer_ids`: what it is bound to; null is every customer, and no list is empty.
    `test`: it opens test mode alone.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint(ROLE_KNOWN, name="role_known"),
        CheckConstraint("scopes IS NOT NULL OR role IS NOT NULL", name="opens_something"),
        CheckConstraint("cardinality(scopes) > 0", name="scopes_some"),
        CheckConstraint("cardinality(customer_ids) > 0", name="customer_ids_some"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    hint: Mapped[str] = mapped_column(Text)
    role: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    customer_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    test: Mapped[bool] = mapped_column(server_default=false())
