"""What customers see: one bill each, under an address that nobody guesses. No account, no session, no cookie.

Nothing of it is kept by a cache, listed by a search engine or told to another site; nothing of the console is in it.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from billing.errors import BillingError, NotFound, ResourceExhausted, Unavailable
from webapp import logs

PATH = "/b"

NOTICES = {
    404: (
        "This link leads nowhere",
        "It may be mistyped, or no longer in use. Ask whoever sent it to you for a new one.",
    ),
    429: ("Too much at once", "Wait a few seconds and try again."),
    500: ("Something went wrong on our side", "Your bill is not affected. Please try again later."),
    503: ("Your bill can't be shown just now", "It is not affected. Please try again in a moment."),
}

customer = Blueprint("customer", __name__, url_prefix=PATH)


def keep_to_yourself(app: Flask) -> None:
    """By the address: what no route answers belongs to no blueprint. Whatever method or path somebody tries there,
    the answer is that of a mistyped link."""

    @app.before_request
    def answer_unroutable() -> Response | None:
        # Flask itself would list the methods of a route to whoever asks for its OPTIONS.
        unroutable = request.routing_exception is not None or request.method == "OPTIONS"
        return notice(404, *NOTICES[404]) if _is_ours() and unroutable else None

    @app.after_request
    def add_headers(response: Response) -> Response:
        if _is_ours():
            headers = response.headers
            headers["Cache-Control"] = "no-store"
            headers["Referrer-Policy"] = "no-referrer"
            headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response


def _is_ours() -> bool:
    return request.path == PATH or request.path.startswith(f"{PATH}/")


def render(template: str, *, status: int = 200, **context: Any) -> Response:
    return make_response(render_template(template, **context), status)


def notice(status: int, title: str, advice: str) -> Response:
    """The same for everybody: it names neither the bill nor the link."""
    return render("customer/notice.html", status=status, title=title, advice=advice)


@customer.errorhandler(BillingError)
def refused(error: BillingError) -> ResponseReturnValue:
    """What is refused here was never a customer's doing: the bill isn't there, or not now."""
    kinds = {NotFound: 404, ResourceExhausted: 429, Unavailable: 503}
    status = next((status for kind, status in kinds.items() if isinstance(error, kind)), 404)
    response = notice(status, *NOTICES[status])
    if isinstance(error, Unavailable | ResourceExhausted):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


@customer.errorhandler(Exception)
def failed(error: Exception) -> ResponseReturnValue:
    if isinstance(error, HTTPException):
        return notice(404, *NOTICES[404])
    logs.fault(error)
    return notice(500, *NOTICES[500])
