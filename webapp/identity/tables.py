"""Who may come in: staff and their sessions, integrators' accounts and their API keys."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import NOW, Base, Instant

ROLE_KNOWN = "role IN ('viewer', 'operator', 'admin')"


class UserRow(Base):
    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(ROLE_KNOWN, name="role_known"),
        CheckConstraint("email = lower(email)", name="email_lower"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)


class SessionRow(Base):
    """A signed-in browser. Only the SHA-256 of its token is kept."""

    __tablename__ = "sessions"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    last_seen_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(Instant, index=True)


class AccountRow(Base):
    """An integration. It owns idempotency keys, so that a replaced API key keeps them."""

    __tablename__ = "accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)


class ApiKeyRow(Base):
    """A bearer credential of an account. Only its SHA-256 is kept, and its first characters to tell keys apart."""

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint(ROLE_KNOWN, name="role_known"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    hint: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)
