"""What a page says when it can't do what was asked: whole pages, or a notice on the page that is open."""

from __future__ import annotations

from flask import Blueprint, Response, g
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from billing.errors import BillingError, NotFound, PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable
from webapp import logs
from webapp.identity.access import SecondFactorNeeded
from webapp.pages.rendering import render, wants_fragment
from webapp.pages.signing_in_again import enrol_first, sent_by_an_old_page, sign_in_first
from webapp.slow_senders import TooSlow

NOTICES = {
    400: ("This request could not be read", "Go back, reload the page and try again."),
    403: ("Your role does not allow this", "An administrator can change what you may do."),
    404: ("There is nothing here", "The address is wrong, or what it named is gone."),
    405: ("This address takes no such request", "Go back and use the buttons of the page."),
    413: ("That was too much at once", "Shorten it, or send it in parts."),
    429: ("Too many requests", "Wait a minute and try again."),
    500: ("Something went wrong on our side", "Nothing is lost. Try again; if it stays, report the reference below."),
    503: (
        "The database can't be reached",
        "What was stored is safe. Try again in a moment: what you sent is stored once, even if sent twice.",
    ),
}
TOO_SLOW = ("What you sent came too slowly", "None of it was stored. Try again, with a smaller file if it was one.")
SESSION_CHANGED = ("This page is too old", "Your session changed since it was loaded. Reload the page and try again.")


def register(pages: Blueprint) -> None:
    pages.register_error_handler(BillingError, _refused)
    pages.register_error_handler(CSRFError, _session_changed)
    pages.register_error_handler(Exception, _failed)
    # Addresses that no route has belong to no blueprint; those of the API are answered before this.
    pages.app_errorhandler(HTTPException)(_refused_by_http)
    pages.app_errorhandler(Unauthenticated)(_sign_in)


def notice(status: int, title: str, advice: str) -> Response:
    """As a page, or for htmx as a notice above the page that stays as it is, with all that was typed."""
    if not wants_fragment():
        return render("errors/page.html", status=status, code=status, title=title, advice=advice)
    response = render("errors/_notice.html", status=status, code=status, title=title, advice=advice)
    response.headers["HX-Retarget"] = "#notices"
    response.headers["HX-Reswap"] = "innerHTML"
    return response


def _refused(error: BillingError) -> ResponseReturnValue:
    if isinstance(error, Unauthenticated):
        return _sign_in(error)
    if isinstance(error, SecondFactorNeeded):
        return enrol_first()
    status = _status_of(error)
    title, advice = NOTICES[status]
    response = notice(status, title, advice)
    if isinstance(error, Unavailable | ResourceExhausted):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _status_of(error: BillingError) -> int:
    kinds = {PermissionDenied: 403, NotFound: 404, ResourceExhausted: 429, Unavailable: 503}
    return next((status for kind, status in kinds.items() if isinstance(error, kind)), 400)


def _sign_in(_error: BillingError) -> ResponseReturnValue:
    return sign_in_first()


def _session_changed(_error: CSRFError) -> ResponseReturnValue:
    """Somebody signed in anew in this browser since the page was loaded."""
    return sent_by_an_old_page() or notice(400, *SESSION_CHANGED)


def _refused_by_http(error: HTTPException) -> ResponseReturnValue:
    """Redirects and the like stay what they are."""
    if error.code is None or error.code < 400:
        return error.get_response()
    if isinstance(error, TooSlow):
        return notice(400, *TOO_SLOW)
    status = error.code if error.code in NOTICES else (400 if error.code < 500 else 500)
    response = notice(status, *NOTICES[status])
    if error.code == 405:
        response.headers["Allow"] = dict(error.get_headers())["Allow"]
    return response


def _failed(error: Exception) -> ResponseReturnValue:
    if isinstance(error, HTTPException):
        return _refused_by_http(error)
    logs.fault(error)
    return _our_fault()


def _our_fault() -> Response:
    """Should the page fail that says so: the words alone, with the headers of every answer."""
    try:
        return notice(500, *NOTICES[500])
    except Exception as error:
        logs.fault(error)
        title, advice = NOTICES[500]
        return Response(f"{title}. {advice}\n\nReference {g.request_id}\n", 500, mimetype="text/plain")
