"""Every way the business can say no.

An error is named for what happened; its message is the sentence a person reads,
its `code` and `reason` are what a program reads. HTTP statuses are the web's business
(`webapp/api/errors.py`).
"""

from __future__ import annotations

from typing import ClassVar


class BillingError(Exception):
    """Something was refused; nothing was changed."""

    code: ClassVar[str]
    reason: str
    default_message: ClassVar[str] = "the request was refused"

    def __init__(self, message: str | None = None, *, reason: str | None = None, field: str | None = None):
        super().__init__(message or self.default_message)
        self.reason = reason or self.reason
        self.field = field

    @property
    def message(self) -> str:
        return str(self)


class InvalidArgument(BillingError):
    """The request can't be right, whatever the bill's state. `field` names what is wrong where there is one."""

    code = "invalid_argument"
    reason = "invalid_value"
    default_message = "the request is invalid"


class MalformedRequest(InvalidArgument):
    """The request could not be read at all: not JSON, not UTF-8, not an object."""

    reason = "malformed_request"
    default_message = "the request body is not valid JSON"


class UnsupportedCurrency(InvalidArgument):
    """The currency is none of those offered here."""

    reason = "unsupported_currency"
    default_message = "unsupported currency"


class FailedPrecondition(BillingError):
    """The bill's state doesn't allow it."""

    code = "failed_precondition"
    reason = "failed_precondition"


class BillClosed(FailedPrecondition):
    """The bill is closed: nothing about it changes any more."""

    reason = "bill_closed"
    default_message = "bill is closed and cannot be modified"


class BillClosing(FailedPrecondition):
    """Somebody asked for the bill to be closed; it takes no more changes."""

    reason = "bill_closing"
    default_message = "bill is closed and cannot be modified"


class PeriodEnded(FailedPrecondition):
    """The billing period is over by the database's clock; the bill is about to close by itself."""

    reason = "period_ended"
    default_message = "the billing period has ended"


class LiveBill(FailedPrecondition):
    """The bill is a live one: its clock is everybody's. Those of test bills can be advanced."""

    reason = "bill_is_live"
    default_message = "only a test bill's clock can be advanced"


class AlreadyReversed(FailedPrecondition):
    """The line item was taken back before."""

    reason = "already_reversed"
    default_message = "the line item is already reversed"


class NotReversible(FailedPrecondition):
    """The line item is itself a reversal."""

    reason = "not_reversible"
    default_message = "a reversing line item cannot itself be reversed"


class TooManyLinks(FailedPrecondition):
    """So many links to one bill can't be in use at once."""

    reason = "too_many_links"
    default_message = "this bill has too many links already; revoke one that is no longer needed"


class Unauthenticated(BillingError):
    """No credentials, or bad ones."""

    code = "unauthenticated"
    reason = "invalid_credentials"
    default_message = "valid credentials are required"


class PermissionDenied(BillingError):
    """The caller is known, and may not do this."""

    code = "permission_denied"
    reason = "role_not_allowed"
    default_message = "your role does not allow this"


class NotFound(BillingError):
    """There is no such thing, or none this caller may know of."""

    code = "not_found"
    reason = "not_found"
    default_message = "not found"


class BillNotFound(NotFound):
    """No bill has this id."""

    reason = "bill_not_found"
    default_message = "bill not found"


class LineItemNotFound(NotFound):
    """The bill has no line item with this id."""

    reason = "line_item_not_found"
    default_message = "line item not found"


class CustomerNotFound(NotFound):
    """No customer has this id."""

    reason = "customer_not_found"
    default_message = "customer not found"


class RateSnapshotNotFound(NotFound):
    """No rate snapshot has this id, or none awaits a decision."""

    reason = "rate_snapshot_not_found"
    default_message = "rate snapshot not found"


class LinkNotFound(NotFound):
    """No link has this id, or it was revoked."""

    reason = "link_not_found"
    default_message = "link not found"


class AlreadyExists(BillingError):
    """Something with this name is there already."""

    code = "already_exists"
    reason = "already_exists"
    default_message = "already exists"


class IdempotencyKeyReused(AlreadyExists):
    """The key was used before with other values."""

    reason = "idempotency_key_reused"
    default_message = "this idempotency key was used before with other values"


class ReferenceReused(AlreadyExists):
    """The customer was charged for this reference of this source already, with other values."""

    reason = "reference_reused"
    default_message = "this reference of this source was used before with other values"

    def __init__(self, message: str | None = None, *, reason: str | None = None, field: str | None = "reference"):
        super().__init__(message, reason=reason, field=field)


class Aborted(BillingError):
    """Somebody else was quicker; read again and decide anew."""

    code = "aborted"
    reason = "aborted"


class VersionConflict(Aborted):
    """The bill changed since the version the caller has seen."""

    reason = "version_conflict"
    default_message = "the bill changed meanwhile"


class IdempotencyInProgress(Aborted):
    """A request with the same key is still running after five seconds."""

    reason = "idempotency_in_progress"
    default_message = "a request with this idempotency key is still running"


class ResourceExhausted(BillingError):
    """Too many requests. `retry_after_s` says when to come back."""

    code = "resource_exhausted"
    reason = "rate_limited"
    default_message = "too many requests"
    retry_after_s: int = 60


class Unavailable(BillingError):
    """The database is out of reach; what was asked may be repeated with the same idempotency key."""

    code = "unavailable"
    reason = "database_unavailable"
    default_message = "the service is temporarily unavailable"
    retry_after_s: int = 1
