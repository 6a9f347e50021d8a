"""Errors as the API tells them: one envelope, one table of statuses."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flask import Blueprint, Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from billing import errors
from billing.errors import BillingError, InvalidArgument
from webapp import logs
from webapp.api.blueprint import PATH
from webapp.identity import access
from webapp.slow_senders import TooSlow


class MethodNotAllowed(InvalidArgument):
    """The address exists and takes other methods; `Allow` names them."""

    reason = "method_not_allowed"
    default_message = "this method is not allowed here"


class NotAcceptable(InvalidArgument):
    """The caller accepts no JSON, and there is nothing else."""

    reason = "not_acceptable"
    default_message = "answers are application/json"


class TooLarge(InvalidArgument):
    """The body is longer than this call takes."""

    reason = "body_too_large"
    default_message = "the request body is too large"


class UnsupportedMediaType(InvalidArgument):
    """The body isn't declared to be JSON."""

    reason = "unsupported_media_type"
    default_message = "the request body must be application/json in UTF-8"


STATUS: Mapping[type[BillingError], int] = {
    errors.InvalidArgument: 400,
    errors.MalformedRequest: 400,
    errors.UnsupportedCurrency: 400,
    MethodNotAllowed: 405,
    NotAcceptable: 406,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    errors.FailedPrecondition: 400,
    errors.BillClosed: 400,
    errors.BillClosing: 400,
    errors.PeriodEnded: 400,
    errors.LiveBill: 400,
    errors.AlreadyReversed: 400,
    errors.NotReversible: 400,
    errors.TooManyLinks: 400,
    errors.Unauthenticated: 401,
    errors.PermissionDenied: 403,
    errors.NotFound: 404,
    errors.BillNotFound: 404,
    errors.LineItemNotFound: 404,
    errors.CustomerNotFound: 404,
    errors.LinkNotFound: 404,
    errors.RateSnapshotNotFound: 404,
    errors.AlreadyExists: 409,
    errors.IdempotencyKeyReused: 409,
    errors.ReferenceReused: 409,
    errors.Aborted: 409,
    errors.VersionConflict: 409,
    errors.IdempotencyInProgress: 409,
    errors.ResourceExhausted: 429,
    errors.Unavailable: 503,
}
INTERNAL = 500
INTERNAL_MESSAGE = "something went wrong on our side"

_OF_HTTP: Mapping[int, BillingError] = {
    404: errors.NotFound("there is nothing at this address"),
    405: MethodNotAllowed(),
    413: TooLarge(),
    415: UnsupportedMediaType(),
}


def status_of(error: BillingError) -> int:
    """Errors that a part defines for itself have the status of what they derive from."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def envelope(code: str, message: str, details: Mapping[str, str]) -> dict[str, object]:
    return {"code": code, "message": message, "details": dict(details)}


def described(error: BillingError) -> dict[str, object]:
    """The error's envelope, the same for a whole call and for one row of a batch."""
    details = {"reason": error.reason, "request_id": g.request_id}
    if error.field:
        details["field"] = error.field
    return envelope(error.code, error.message, details)


def register(api: Blueprint) -> None:
    api.register_error_handler(BillingError, _refused)
    api.register_error_handler(HTTPException, _refused_by_http)
    api.register_error_handler(Exception, _failed)


def answer_unroutable(app: Flask) -> None:
    """Addresses under the API that no route has, and methods they don't take, get the envelope too."""

    @app.before_request
    def answer() -> Response | None:
        failed = request.routing_exception
        ours = request.path == PATH or request.path.startswith(PATH + "/")
        if not ours or failed is None or isinstance(failed, RequestRedirect):
            return None
        return _refused_by_http(failed)


def _refused(error: BillingError) -> Response:
    error = _of_who_may_know(error)
    response = _answer(status_of(error), described(error))
    wait_s = getattr(error, "retry_after_s", None)
    if wait_s is not None:
        response.headers["Retry-After"] = str(wait_s)
    if isinstance(error, errors.Unauthenticated):
        response.headers["WWW-Authenticate"] = 'Bearer realm="Pave Billing"'
    return response


def _of_who_may_know(error: BillingError) -> BillingError:
    """Who asks with a key that was revoked since this process looked it up is told that, and nothing else.

    But that it asks too much: to look it up is what that is to spare.
    """
    if isinstance(error, errors.Unauthenticated):
        g.pop("caller", None)
    elif not isinstance(error, errors.Unavailable | errors.ResourceExhausted):
        try:
            access.confirm()
        except BillingError as first:
            return first
    return error


def _refused_by_http(error: HTTPException) -> Response:
    if error.code is None or error.code >= INTERNAL:
        return _failed(error)
    unread = error.description if isinstance(error, TooSlow) else "the request could not be read"
    response = _refused(_OF_HTTP.get(error.code) or errors.MalformedRequest(unread))
    if error.code == 405:
        response.headers["Allow"] = dict(error.get_headers())["Allow"]
    return response


def _failed(error: Exception) -> Response:
    logs.fault(error)
    details = {"reason": "internal", "request_id": g.request_id}
    return _answer(INTERNAL, envelope("internal", INTERNAL_MESSAGE, details))


def _answer(status: int, body: Mapping[str, object]) -> Response:
    # ASCII, so that whatever a caller sent as a field's name can be written.
    return Response(json.dumps(body) + "\n", status=status, mimetype="application/json")
