"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when it is lost.

A code counts 30 s, one step before and after for clocks that differ, and each code once. The secret is kept sealed:
whoever reads the database alone can't make codes.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pyotp
import segno
from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from billing.errors import FailedPrecondition, InvalidArgument
from billing.ledger.database import transaction
from billing.origin import Origin
from billing.sealing import Seal
from webapp.identity.tables import RecoveryCodeRow, SecondFactorRow
from webapp.identity.tokens import token_hash
from webapp.identity.user_changes import changing

ISSUER = "Pave Billing"
STEP_S = 30
RECOVERY_CODES = 10
# Without those that look like others.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 4
ENROLMENT_S = 3_600
WRONG_CODE = InvalidArgument("this code doesn't fit, or was used before: take the next one", field="code")


class AlreadyEnrolled(FailedPrecondition):
    """A second factor is there already; it must be removed first."""

    reason = "already_enrolled"
    default_message = "a second factor is set up already"


class NotEnrolled(FailedPrecondition):
    """There is no second factor."""

    reason = "not_enrolled"
    default_message = "there is no second factor"


def new_secret() -> str:
    """160 bits, as RFC 4226 recommends, in base 32."""
    return pyotp.random_base32()


def offered(seal: Seal, user_id: UUID, secret: str) -> str:
    """A secret on its way through the browser: bound to the user, good for an hour."""
    return seal.close(f"enrolment of {user_id}", secret)


def taken_back(seal: Seal, user_id: UUID, offer: str) -> str | None:
    return seal.open(f"enrolment of {user_id}", offer, within_s=ENROLMENT_S)


def address_of(secret: str, email: str) -> str:
    """What the QR code says to an authenticator app."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def qr_code(address: str) -> str:
    """As the address of a picture."""
    return segno.make(address, error="m").svg_data_uri(scale=5, border=3, light="#fff", dark="#16191c")


def enrol(engine: Engine, seal: Seal, origin: Origin, user_id: UUID, secret: str, code: str) -> Sequence[str]:
    """The recovery codes of the new second factor, which are never shown again.

    Raises InvalidArgument unless `code` shows that the app has the secret; AlreadyEnrolled.
    """
    step = _step_of(secret, code)
    if step is None:
        raise WRONG_CODE
    with changing(engine, origin, user_id) as change:
        if _row(change.connection, user_id) is not None:
            raise AlreadyEnrolled
        sealed = seal.close(f"second factor of {user_id}", secret)
        change.connection.execute(insert(SecondFactorRow).values(user_id=user_id, secret=sealed, last_step=step))
        codes = _new_recovery_codes(change.connection, user_id)
        change.write("user.second_factor_added")
    return codes


def remove(engine: Engine, origin: Origin, user_id: UUID) -> None:
    """One's own; recovery codes go with it."""
    with changing(engine, origin, user_id) as change:
        removed = change.connection.execute(delete(SecondFactorRow).where(SecondFactorRow.user_id == user_id))
        if removed.rowcount:
            change.write("user.second_factor_removed")


def replace_recovery_codes(engine: Engine, origin: Origin, user_id: UUID) -> Sequence[str]:
    """New ones; the old ones fit no more. Raises NotEnrolled."""
    with changing(engine, origin, user_id) as change:
        if _row(change.connection, user_id) is None:
            raise NotEnrolled
        codes = _new_recovery_codes(change.connection, user_id)
        change.write("user.recovery_codes_replaced")
    return codes


def recovery_codes_left(engine: Engine, user_id: UUID) -> int:
    unused = select(func.count()).where(RecoveryCodeRow.user_id == user_id, RecoveryCodeRow.used_at.is_(None))
    with transaction(engine) as connection:
        left: int = connection.execute(unused).scalar_one()
    return left


def accepts(engine: Engine, seal: Seal, origin: Origin, user_id: UUID, code: str) -> bool:
    """Whether this is a code of the user's app or an unused recovery code; from now on it is used."""
    typed = "".join(code.split()).replace("-", "").lower()
    if typed.isdigit():
        return _accepts_app(engine, seal, user_id, typed)
    with changing(engine, origin, user_id) as change:
        used = change.connection.execute(
            update(RecoveryCodeRow)
            .where(
                RecoveryCodeRow.user_id == user_id,
                RecoveryCodeRow.code_hash == token_hash(typed),
                RecoveryCodeRow.used_at.is_(None),
            )
            .values(used_at=func.clock_timestamp())
        )
        if used.rowcount:
            change.write("user.recovery_code_used")
    return bool(used.rowcount)


def _accepts_app(engine: Engine, seal: Seal, user_id: UUID, code: str) -> bool:
    """The newest step is stored in the statement that checks it: of two that send one code, one comes in."""
    with transaction(engine) as connection:
        row = _row(connection, user_id)
        secret = seal.open(f"second factor of {user_id}", row.secret) if row else None
        step = _step_of(secret, code) if secret else None
        if step is None:
            return False
        used = connection.execute(
            update(SecondFactorRow)
            .where(SecondFactorRow.user_id == user_id, SecondFactorRow.last_step < step)
            .values(last_step=step)
        )
    return bool(used.rowcount)


def _row(connection: Connection, user_id: UUID) -> Row[Any] | None:
    return connection.execute(select(SecondFactorRow.__table__).where(SecondFactorRow.user_id == user_id)).one_or_none()


def _step_of(secret: str, code: str) -> int | None:
    """The step around now whose code this is."""
    typed, current = "".join(code.split()), int(time.time()) // STEP_S
    totp = pyotp.TOTP(secret, interval=STEP_S)
    fitting = [
        step
        for step in (current - 1, current, current + 1)
        if hmac.compare_digest(totp.generate_otp(step).encode(), typed.encode())
    ]
    return max(fitting, default=None)


def _new_recovery_codes(connection: Connection, user_id: UUID) -> Sequence[str]:
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    connection.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user_id == user_id))
    connection.execute(
        insert(RecoveryCodeRow),
        [{"user_id": user_id, "code_hash": token_hash(code.replace("-", ""))} for code in codes],
    )
    return codes


def _recovery_code() -> str:
    """79 bits: enough for a fast hash."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
