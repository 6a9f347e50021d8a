"""Signed-in browsers. The session lives in the database, so that signing out ends it everywhere.

The cookie carries a random token (signed, with the CSRF secret beside it); the table its hash. Each step of signing in
begins a session under a new token: one that somebody planted, or saw before, opens nothing afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from flask import session
from sqlalchemy import Engine, delete, insert, select, text

from billing.errors import NotFound
from billing.ledger.database import one_row, rows, transaction
from billing.origin import Actor, ActorKind
from webapp.identity.caller import Caller
from webapp.identity.roles import Role
from webapp.identity.tables import SessionRow
from webapp.identity.tokens import new_token, token_hash
from webapp.identity.users import User

IDLE = timedelta(hours=12)
LONGEST = timedelta(days=7)
# How long a browser may take from the password to the code.
HALFWAY = timedelta(minutes=10)
_TOKEN = "token"  # noqa: S105 - the name under which it is kept


class Method(StrEnum):
    """How a session began: with a password (and a second factor), or by the OpenID Connect provider."""

    PASSWORD = "password"  # noqa: S105 - a word, not a secret
    OIDC = "oidc"


class RequireTotp(StrEnum):
    """Who must have a second factor when signing in with a password; the provider sees to its own."""

    NOBODY = "nobody"
    ADMINS = "admins"
    EVERYBODY = "everybody"

    def concerns(self, role: Role) -> bool:
        return self is RequireTotp.EVERYBODY or (self is RequireTotp.ADMINS and role is Role.ADMIN)


class SessionNotFound(NotFound):
    """The caller has no such session."""

    reason = "session_not_found"
    default_message = "session not found"


@dataclass(frozen=True, slots=True)
class Session:
    """One of somebody's signed-in browsers."""

    id: UUID
    browser: str
    method: Method
    created_at: datetime
    last_seen_at: datetime
    is_this_one: bool


def start(
    engine: Engine, user: User, *, browser: str = "", method: Method = Method.PASSWORD, awaits_code: bool = False
) -> None:
    """A session under a new token, in place of this browser's last one; the cookie forgets what it held."""
    sign_out(engine)
    token = new_token()
    with transaction(engine) as connection:
        connection.execute(delete(SessionRow).where(SessionRow.expires_at < text("clock_timestamp()")))
        connection.execute(
            insert(SessionRow).values(
                token_hash=token_hash(token),
                user_id=user.id,
                browser=browser,
                method=method,
                awaits_code=awaits_code,
                expires_at=text("clock_timestamp() + :longest").bindparams(longest=HALFWAY if awaits_code else LONGEST),
            )
        )
    session[_TOKEN] = token


def sign_out(engine: Engine) -> None:
    """Ends this browser's session, and forgets what its cookie held."""
    token = session.get(_TOKEN)
    session.clear()
    if isinstance(token, str):
        with transaction(engine) as connection:
            connection.execute(delete(SessionRow).where(SessionRow.token_hash == token_hash(token)))


_LOOK_UP = """
    SELECT u.id, u.email, u.role, s.id AS session_id, s.method, s.awaits_code, f.user_id IS NOT NULL AS has_factor,
           s.last_seen_at < clock_timestamp() - interval '1 minute' AS sighting_unrecorded
    FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN second_factors f ON f.user_id = u.id
    WHERE s.token_hash = %s AND u.disabled_at IS NULL AND s.awaits_code = %s
      AND s.expires_at > clock_timestamp() AND s.last_seen_at > clock_timestamp() - %s
"""

_SIGHTED = "UPDATE sessions SET last_seen_at = clock_timestamp() WHERE token_hash = %s RETURNING id"


def authenticate(
    engine: Engine, require_totp: RequireTotp = RequireTotp.NOBODY, *, is_sighting: bool = True
) -> Caller | None:
    """Whose session this browser has; None when it has none, one that ended, or one that awaits a code.

    `is_sighting` unless the page asks by itself: a tab that is left open keeps no session from ending.
    """
    hashed = _own_hash()
    if hashed is None:
        return None
    user = one_row(engine, _LOOK_UP, (hashed, False, IDLE))
    if user is None:
        return None
    if is_sighting and user.sighting_unrecorded:
        rows(engine, _SIGHTED, (hashed,))
    role = Role(user.role)
    must_enrol = user.method == Method.PASSWORD and not user.has_factor and require_totp.concerns(role)
    actor = Actor(ActorKind.USER, str(user.id), user.email)
    return Caller(user.id, actor, role, session_id=user.session_id, must_enrol=must_enrol)


_STANDING = """
    SELECT s.id, u.role FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = ANY(%s) AND u.disabled_at IS NULL AND NOT s.awaits_code
      AND s.expires_at > clock_timestamp() AND s.last_seen_at > clock_timestamp() - %s
"""


def roles(engine: Engine, session_ids: Collection[UUID]) -> Mapping[UUID, Role]:
    """Of those of these sessions that stand: asked for open pages, so that it is no sighting."""
    return {row.id: Role(row.role) for row in rows(engine, _STANDING, (list(session_ids), IDLE))}


def halfway(engine: Engine) -> Caller | None:
    """Who gave the password in this browser and has yet to give the code. They may do nothing else."""
    hashed = _own_hash()
    if hashed is None:
        return None
    user = one_row(engine, _LOOK_UP, (hashed, True, HALFWAY))
    return user and Caller(user.id, Actor(ActorKind.USER, str(user.id), user.email), Role(user.role))


def last_user(engine: Engine) -> str | None:
    """Whose session this browser had last, even if it has ended, as long as that is known."""
    hashed = _own_hash()
    if hashed is None:
        return None
    last = one_row(
        engine, "SELECT u.email FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = %s", (hashed,)
    )
    return last and str(last.email)


def of_user(engine: Engine, user_id: UUID, *, this: UUID | None) -> Sequence[Session]:
    """Those that are open, the one that asks first, then by when they were last used."""
    query = (
        select(SessionRow.__table__)
        .where(
            SessionRow.user_id == user_id,
            SessionRow.awaits_code.is_(False),
            SessionRow.expires_at > text("clock_timestamp()"),
            SessionRow.last_seen_at > text("clock_timestamp() - :idle").bindparams(idle=IDLE),
        )
        .order_by(SessionRow.id != this, SessionRow.last_seen_at.desc())
    )
    with transaction(engine) as connection:
        return [
            Session(row.id, row.browser, Method(row.method), row.created_at, row.last_seen_at, row.id == this)
            for row in connection.execute(query)
        ]


def end(engine: Engine, user_id: UUID, session_id: UUID) -> None:
    """One of somebody's own. Raises SessionNotFound."""
    with transaction(engine) as connection:
        ended = connection.execute(delete(SessionRow).where(SessionRow.id == session_id, SessionRow.user_id == user_id))
        if not ended.rowcount:
            raise SessionNotFound


def end_others(engine: Engine, user_id: UUID, *, but: UUID | None) -> int:
    """All of somebody's but the one that asks; how many those were."""
    with transaction(engine) as connection:
        return connection.execute(
            delete(SessionRow).where(SessionRow.user_id == user_id, SessionRow.id != but)
        ).rowcount


def _own_hash() -> bytes | None:
    token = session.get(_TOKEN)
    return token_hash(token) if isinstance(token, str) else None
