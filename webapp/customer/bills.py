"""A customer's bill: the page, what changed on it, its stream, and its documents."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue

from billing.ledger import links, seller
from billing.ledger.links import ShareLink
from webapp.customer.blueprint import NOTICES, customer, notice, render
from webapp.customer.tokens import link_id_of
from webapp.documents import document
from webapp.documents.answers import csv_answer, pdf_answer
from webapp.documents.document import Document
from webapp.documents.pdf import MOST_LINES, TakesTooLong, TooManyLines
from webapp.identity.access import public
from webapp.live.streams import stream
from webapp.pages.inputs import position
from webapp.pages.shown import offered_currencies
from webapp.system import system

LINES_A_PAGE = 100
STREAMS_A_LINK = 8
TOO_LONG = ("This bill is too long for a PDF", f"It has more than {MOST_LINES:,} lines. The CSV file has all of them.")
TOO_SLOW = ("This PDF takes too long to make", "The CSV file has all lines of the bill.")
EVERY_OTHER_METHOD = ["POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Which lines a page shows; positions count from 1 without gaps, so that every page has its address."""

    first: int
    last: int
    count: int

    @property
    def previous(self) -> int | None:
        """After which position the page before begins."""
        return max(0, self.first - 1 - LINES_A_PAGE) if self.first > 1 else None

    @property
    def next(self) -> int | None:
        return self.last if 0 < self.last < self.count else None

    @property
    def is_whole(self) -> bool:
        return self.previous is None and self.next is None


@customer.get("/<token>")
@public
def show_bill(token: str) -> ResponseReturnValue:
    return _rendered("customer/show.html", token, _document(_link(token)))


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
    response = _rendered("customer/changes.html", token, document_)
    code, after = document_.conversion.to.code, position(request.args, "after") or None
    response.headers["HX-Replace-Url"] = url_for("customer.show_bill", token=token, currency=code, after=after)
    return response


def _is_seen(bill_id: UUID) -> bool:
    """Asked every few seconds for each open page: costs two small queries, or one where a stream of the bill is open
    here. `told`: what the page's stream told it of, which this process may not have heard of yet."""
    here, asked = system(), request.args
    standing = here.live.standing(bill_id, at_least=position(asked, "told") or 0)
    if standing.is_closed:
        return False
    return asked.get("seen") == document.seen_of(here, bill_id, standing, asked.get("currency", ""))


@customer.get("/<token>/stream")
@public
def show_stream(token: str) -> ResponseReturnValue:
    """Says that there are changes, until the link is revoked."""
    link, here = _link(token), system()
    return stream(
        here,
        link.bill_id,
        viewer=f"link:{link.id}",
        per_viewer=STREAMS_A_LINK,
        may_watch=lambda: links.is_live(here.engine, link.id),
    )


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
    return links.live(here.engine, link_id)


def _document(link: ShareLink) -> Document:
    """As this request asks for it."""
    return document.read(
        system(),
        link.bill_id,
        currency=request.args.get("currency"),
        after=position(request.args, "after") or 0,
        limit=LINES_A_PAGE,
        fresh_after=position(request.args, "newest"),
    )


def _rendered(template: str, token: str, document_: Document) -> Response:
    return render(
        template,
        token=token,
        document=document_,
        spread=_spread(document_),
        currencies=offered_currencies(system(), document_.bill),
        most_lines=MOST_LINES,
    )


def _spread(of: Document) -> Spread:
    first, last = (of.lines[0].item.position, of.lines[-1].item.position) if of.lines else (0, 0)
    return Spread(first, last, of.bill.item_count)
