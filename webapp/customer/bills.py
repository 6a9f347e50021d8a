"""A customer's bill: the page, what changed on it, its stream, and its documents."""

from __future__ import annotations

from uuid import UUID

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue

from billing.ledger import links, seller
from billing.ledger.links import ShareLink
from webapp import logs
from webapp.customer.blueprint import NOTICES, customer, notice, render
from webapp.customer.followed import CustomerView
from webapp.customer.showing import LINES_A_PAGE, context
from webapp.customer.tokens import link_id_of
from webapp.documents import document
from webapp.documents.answers import csv_answer, pdf_answer
from webapp.documents.document import Document
from webapp.documents.pdf import MOST_LINES, TakesTooLong, TooManyLines
from webapp.identity.access import public
from webapp.live.bounds import PER_LINK
from webapp.live.streams import stream
from webapp.live.watches import Link
from webapp.pages.followed import followed_currency
from webapp.pages.inputs import position
from webapp.system import system

TOO_LONG = ("This bill is too long for a PDF", f"It has more than {MOST_LINES:,} lines. The CSV file has all of them.")
TOO_SLOW = ("This PDF takes too long to make", "The CSV file has all lines of the bill.")
EVERY_OTHER_METHOD = ["POST", "PUT", "PATCH", "DELETE"]


@customer.get("/<token>")
@public
def show_bill(token: str) -> ResponseReturnValue:
    return render("customer/show.html", **context(system(), token, _document(_link(token)), after=_after()))


@customer.get("/<token>/changes")
@public
def show_changes(token: str) -> ResponseReturnValue:
    """What an open page shows anew; 204 when it is still right."""
    link = _link(token)
    if _is_seen(link.bill_id):
        return Response(status=204)
    document_ = _document(link)
    if document_.seen == request.args.get("seen"):
        return Response(status=204)
    known = position(request.args, "newest") or 0
    response = render("customer/changes.html", **context(system(), token, document_, after=_after(), known=known))
    code, after = document_.conversion.to.code, _after() or None
    response.headers["HX-Replace-Url"] = url_for("customer.show_bill", token=token, currency=code, after=after)
    return response


def _is_seen(bill_id: UUID) -> bool:
    """Asked every few seconds for each open page: costs two small queries, or one where a stream of the bill is open
    here. `told`: what the page's stream told it of, which this process may not have heard of yet."""
    here, asked = system(), request.args
    standing = here.live.standing(bill_id, at_least=position(asked, "told") or 0)
    if standing.is_closed:
        return False
    return asked.get("seen") == document.seen_of(here, standing, asked.get("currency", ""))


@customer.get("/<token>/stream")
@public
def show_stream(token: str) -> ResponseReturnValue:
    """What changes on the bill as a page shows it, until the link is revoked."""
    link = _link(token)
    currency = followed_currency(system(), link.bill_id, request.args.get("currency"))
    view = CustomerView(link.bill_id, link.id, token, currency, _after(), system())
    return stream(system().live, view, viewer=Link(link.id), per_viewer=PER_LINK)


@customer.get("/<token>/bill.pdf")
@public
def download_pdf(token: str) -> ResponseReturnValue:
    link = _link(token)
    try:
        return pdf_answer(system(), link.bill_id, request.args.get("currency"), viewer=f"link:{link.id}")
    except TooManyLines:
        return notice(409, *TOO_LONG)
    except TakesTooLong:
        return notice(503, *TOO_SLOW)


@customer.get("/<token>/lines.csv")
@public
def download_csv(token: str) -> ResponseReturnValue:
    return csv_answer(system(), _link(token).bill_id)


@customer.get("/<token>/logo")
@public
def show_logo(token: str) -> ResponseReturnValue:
    """The seller's, as this bill has it."""
    of = document.read(system(), _link(token).bill_id, limit=0).seller
    logo = seller.logo(system().engine, of.logo) if of.logo else None
    if logo is None:
        return notice(404, *NOTICES[404])
    return Response(logo.content, mimetype=logo.kind)


@customer.route("/", defaults={"rest": ""})
@customer.route("/<path:rest>")
@customer.route("/<path:rest>", methods=EVERY_OTHER_METHOD)
@public
def nothing(rest: str) -> ResponseReturnValue:
    """Whatever else somebody tries here is answered as a mistyped link is."""
    return notice(404, *NOTICES[404])


def _link(token: str) -> ShareLink:
    """Raises LinkNotFound. Nothing is looked up for a token that we haven't made."""
    here = system()
    link_id = link_id_of(here.config.secret_key, token)
    link = links.live(here.engine, link_id)
    logs.about(link.bill_id)
    return link


def _document(link: ShareLink) -> Document:
    """As this request asks for it."""
    return document.read(
        system(),
        link.bill_id,
        currency=request.args.get("currency"),
        after=_after(),
        limit=LINES_A_PAGE,
        fresh_after=position(request.args, "newest"),
    )


def _after() -> int:
    """Lines after which position the page shows."""
    return position(request.args, "after") or 0
