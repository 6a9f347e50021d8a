"""Signing in with a password, and then with a code if there is a second factor; each step is limited.

Limits: who types wrong waits soon, for this e-mail address from this network only; guessing one person's password from
everywhere is slower still, and takes more than one network; and one network may try many people's, since a whole office
may share an address.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from flask import request
from sqlalchemy import Engine

from billing.errors import InvalidArgument
from billing.ledger import idempotency
from billing.ledger.database import transaction
from billing.origin import Origin, fingerprint
from billing.sealing import Seal
from webapp.identity import attempts, browsers, passwords, second_factors, sessions, users
from webapp.identity.attempts import Counted, Limit
from webapp.identity.caller import Caller, as_origin
from webapp.identity.passwords import Busy
from webapp.identity.user_changes import changing
from webapp.identity.users import User

FROM_ONE_NETWORK = Limit("password from one network", 8, timedelta(minutes=10))
# More than one network can use up in an hour: nobody locks out somebody else from one place.
FROM_EVERYWHERE = Limit("password from everywhere", 60, timedelta(hours=1))
OF_A_NETWORK = Limit("passwords of a network", 200, timedelta(minutes=10))
CODES = Limit("code", 5, timedelta(minutes=10))
OWN_PASSWORD = Limit("own password", 8, timedelta(minutes=10))
CHANGE = "change_password"
# Of passwords not even a fingerprint is kept with the idempotency key: it is a fast hash.
_NO_SECRETS = fingerprint(CHANGE)


def with_password(engine: Engine, email: str, password: str) -> User | None:
    """Begins a session, which awaits a code if there is a second factor; None when e-mail and password don't fit.

    Raises TooManyAttempts, Busy.
    """
    person, network = users.as_kept(email), attempts.network(request.remote_addr)
    here = Counted(FROM_ONE_NETWORK, f"{person}\0{network}")
    wider = (Counted(FROM_EVERYWHERE, person), Counted(OF_A_NETWORK, network))
    user = _verified(engine, email, password, here, *wider)
    if user is None:
        return None
    attempts.succeeded(engine, forget=here)
    attempts.give_back(engine, *wider)
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
    """Raises InvalidArgument, naming the field, when it isn't the caller's password; TooManyAttempts, Busy."""
    tried = Counted(OWN_PASSWORD, str(caller.account_id))
    if _verified(engine, caller.actor.name, password, tried) is None:
        raise InvalidArgument("this isn't your password", field=field)
    attempts.succeeded(engine, forget=tried)


def change_password(engine: Engine, caller: Caller, *, old: str, new: str, key: str) -> None:
    """Ends the caller's other sessions. Raises InvalidArgument, TooManyAttempts, Busy.

    A repeat with the same idempotency key is told what the first was told, although the old password is the new one
    by then: whoever clicks twice sees the answer to the second.
    """
    origin = as_origin(caller, key)
    try:
        check_own_password(engine, caller, old, "old_password")
    except InvalidArgument:
        if _is_repeat(engine, origin) and users.verified(engine, caller.actor.name, new):
            return
        raise
    # Before the lock that every change of users takes: a hash is slow, and may have to wait for others.
    hashed = passwords.hash_password(new, email=caller.actor.name, field="new_password")
    with changing(engine, origin, caller.account_id) as change:
        if idempotency.recall(change.connection, origin, CHANGE, _NO_SECRETS):
            return
        change.write("user.password_changed", password_hash=hashed)
        change.end_sessions(but=caller.session_id)
        idempotency.remember(change.connection, origin, CHANGE, _NO_SECRETS, caller.account_id)


def _is_repeat(engine: Engine, origin: Origin) -> bool:
    with transaction(engine) as connection:
        return idempotency.recall(connection, origin, CHANGE, _NO_SECRETS) is not None


def _verified(engine: Engine, email: str, password: str, *tried: Counted) -> User | None:
    """Counted before it is looked at; what there was no room to look at was no attempt."""
    attempts.count(engine, *tried)
    try:
        return users.verified(engine, email, password)
    except Busy:
        attempts.give_back(engine, *tried)
        raise


def this_browser() -> str:
    return browsers.in_words(request.headers.get("User-Agent", ""))
