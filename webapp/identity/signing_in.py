"""Signing in with a password, and then with a code if there is a second factor; each step is limited.

Limits: who types wrong waits soon, for this e-mail address from this network only; guessing one person's password from
everywhere is slower still; and one network may try many people's, since a whole office may share an address.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from flask import request
from sqlalchemy import Engine

from billing.errors import InvalidArgument
from webapp.identity import attempts, browsers, passwords, second_factors, sessions, users
from webapp.identity.attempts import Counted, Limit
from webapp.identity.caller import Caller, as_origin
from webapp.identity.sealing import Seal
from webapp.identity.user_changes import changing
from webapp.identity.users import User

FROM_ONE_NETWORK = Limit("password from one network", 8, timedelta(minutes=10))
FROM_EVERYWHERE = Limit("password from everywhere", 40, timedelta(hours=1))
OF_A_NETWORK = Limit("passwords of a network", 200, timedelta(minutes=10))
CODES = Limit("code", 5, timedelta(minutes=10))
OWN_PASSWORD = Limit("own password", 8, timedelta(minutes=10))


def with_password(engine: Engine, email: str, password: str) -> User | None:
    """Begins a session, which awaits a code if there is a second factor; None when e-mail and password don't fit.

    Raises TooManyAttempts.
    """
    person, network = email.strip().lower(), attempts.network(request.remote_addr)
    here = Counted(FROM_ONE_NETWORK, f"{person}\0{network}")
    wider = (Counted(FROM_EVERYWHERE, person), Counted(OF_A_NETWORK, network))
    attempts.count(engine, here, *wider)
    user = users.verified(engine, email, password)
    if user is None:
        return None
    attempts.succeeded(engine, forget=here, give_back=wider)
    sessions.start(engine, user, browser=this_browser(), awaits_code=user.has_second_factor)
    return user


def with_code(engine: Engine, seal: Seal, caller: Caller, code: str) -> bool:
    """Begins a whole session for who was halfway, when the code fits. Raises TooManyAttempts."""
    tried = Counted(CODES, str(caller.account_id))
    attempts.count(engine, tried)
    if not second_factors.accepts(engine, seal, as_origin(caller), caller.account_id, code):
        return False
    attempts.succeeded(engine, forget=tried)
    sessions.start(engine, users.by_id(engine, caller.account_id), browser=this_browser())
    return True


def enrol(engine: Engine, seal: Seal, caller: Caller, secret: str, code: str) -> Sequence[str]:
    """Recovery codes of the caller's new second factor; begins a session under a new token.

    Raises InvalidArgument, AlreadyEnrolled, TooManyAttempts.
    """
    tried = Counted(CODES, str(caller.account_id))
    attempts.count(engine, tried)
    codes = second_factors.enrol(engine, seal, as_origin(caller), caller.account_id, secret, code)
    attempts.succeeded(engine, forget=tried)
    sessions.start(engine, users.by_id(engine, caller.account_id), browser=this_browser())
    return codes


def check_own_password(engine: Engine, caller: Caller, password: str, field: str = "password") -> None:
    """Raises InvalidArgument, naming the field, when it isn't the caller's password; TooManyAttempts."""
    tried = Counted(OWN_PASSWORD, str(caller.account_id))
    attempts.count(engine, tried)
    if users.verified(engine, caller.actor.name, password) is None:
        raise InvalidArgument("this isn't your password", field=field)
    attempts.succeeded(engine, forget=tried)


def change_password(engine: Engine, caller: Caller, *, old: str, new: str) -> None:
    """Ends the caller's other sessions. Raises InvalidArgument, TooManyAttempts."""
    check_own_password(engine, caller, old, "old_password")
    with changing(engine, as_origin(caller), caller.account_id) as change:
        hashed = passwords.hash_password(new, email=change.user.email, field="new_password")
        change.write("user.password_changed", password_hash=hashed)
        change.end_sessions(but=caller.session_id)


def this_browser() -> str:
    return browsers.in_words(request.headers.get("User-Agent", ""))
