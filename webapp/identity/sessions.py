"""Signed-in browsers. The session lives in the database, so that signing out ends it everywhere.

The cookie carries a random token (signed, with the CSRF secret beside it); the table its hash.
"""

from __future__ import annotations

from datetime import timedelta

from flask import session
from sqlalchemy import Engine, delete, insert, text

from billing.ledger.database import single_statement, transaction
from billing.origin import Actor, ActorKind
from webapp.identity import users
from webapp.identity.caller import Caller
from webapp.identity.roles import Role
from webapp.identity.tables import SessionRow
from webapp.identity.tokens import new_token, token_hash
from webapp.identity.users import User

IDLE = timedelta(hours=12)
LONGEST = timedelta(days=7)
_TOKEN = "token"  # noqa: S105 - the name under which it is kept


def sign_in(engine: Engine, email: str, password: str) -> User | None:
    """Starts a session under a new token; None, and no session, when e-mail and password don't fit."""
    user = users.verified(engine, email, password)
    if user is None:
        return None
    sign_out(engine)
    token = new_token()
    with transaction(engine) as connection:
        connection.execute(delete(SessionRow).where(SessionRow.expires_at < text("clock_timestamp()")))
        connection.execute(
            insert(SessionRow).values(
                token_hash=token_hash(token),
                user_id=user.id,
                expires_at=text("clock_timestamp() + :longest").bindparams(longest=LONGEST),
            )
        )
    session[_TOKEN] = token
    return user


def sign_out(engine: Engine) -> None:
    """Ends this browser's session, and forgets what its cookie held."""
    token = session.get(_TOKEN)
    session.clear()
    if token:
        with transaction(engine) as connection:
            connection.execute(delete(SessionRow).where(SessionRow.token_hash == token_hash(token)))


_LOOK_UP = """
    SELECT u.id, u.email, u.role, s.last_seen_at < clock_timestamp() - interval '1 minute' AS sighting_unrecorded
    FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.token_hash = %s AND u.disabled_at IS NULL
      AND s.expires_at > clock_timestamp() AND s.last_seen_at > clock_timestamp() - %s
"""


def authenticate(engine: Engine) -> Caller | None:
    """Whose session this browser has; None when it has none, or one that ended."""
    token = session.get(_TOKEN)
    if not isinstance(token, str):
        return None
    hashed = token_hash(token)
    with single_statement(engine) as connection:
        user = connection.exec_driver_sql(_LOOK_UP, (hashed, IDLE)).one_or_none()
        if user is None:
            return None
        if user.sighting_unrecorded:
            connection.exec_driver_sql(
                "UPDATE sessions SET last_seen_at = clock_timestamp() WHERE token_hash = %s", (hashed,)
            )
    return Caller(user.id, Actor(ActorKind.USER, str(user.id), user.email), Role(user.role))
