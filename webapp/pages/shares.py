"""The links of a bill: those under which its customer sees it, a new one, one that ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from flask import Response, flash, url_for
from flask.typing import ResponseReturnValue

from billing.bill import Bill
from billing.errors import LinkNotFound
from billing.identifiers import parse_id
from billing.ledger import links
from billing.ledger.events import Event
from billing.ledger.links import ListedLink
from webapp import queries
from webapp.customer.tokens import token_of
from webapp.identity.access import allow
from webapp.identity.caller import current_caller, origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import REFUSALS, Form
from webapp.pages.ids import parse_bill_id
from webapp.pages.rendering import page_or_dialog, see_other, wants_fragment
from webapp.system import System, system


@dataclass(frozen=True, slots=True)
class ShownLink:
    """`address` is None for one that is revoked, and for those who may not hand it on."""

    listed: ListedLink
    address: str | None

    @property
    def is_live(self) -> bool:
        return self.listed.link.revoked_at is None


@pages.get("/bills/<bill_id>/shares")
@allow(Role.VIEWER)
def show_shares(bill_id: str) -> ResponseReturnValue:
    return _shares_page(parse_bill_id(bill_id), Form())


@pages.post("/bills/<bill_id>/shares")
@allow(Role.OPERATOR)
def create_share(bill_id: str) -> ResponseReturnValue:
    bill_uuid, form = parse_bill_id(bill_id), Form.submitted()
    try:
        link, _ = links.create(system().engine, origin(form.key), bill_uuid)
    except REFUSALS as refusal:
        return _shares_page(bill_uuid, form.refused(refusal))
    if wants_fragment():
        return _shares_page(bill_uuid, Form(), fresh=link.id, event=links.last_event(system().engine, link.id))
    return _back(bill_id)


@pages.post("/bills/<bill_id>/shares/<link_id>/revocation")
@allow(Role.OPERATOR)
def revoke_share(bill_id: str, link_id: str) -> ResponseReturnValue:
    bill_uuid, form = parse_bill_id(bill_id), Form.submitted()
    link = links.revoke(system().engine, origin(form.key), bill_uuid, parse_id(link_id, LinkNotFound))
    if wants_fragment():
        return _shares_page(bill_uuid, Form(), event=links.last_event(system().engine, link.id))
    flash("Revoked. The link leads nowhere from now on.")
    return _back(bill_id)


def _back(bill_id: str) -> ResponseReturnValue:
    return see_other(url_for("pages.show_shares", bill_id=bill_id))


def _shares_page(bill_id: UUID, form: Form, *, fresh: UUID | None = None, event: Event | None = None) -> Response:
    """`event`: what has just happened, for the timeline of the page that the dialog lies on."""
    bill = queries.bill(system(), bill_id)
    return page_or_dialog(
        "shares/index.html",
        status=form.status,
        bill=bill,
        form=form,
        fresh=fresh,
        shares=shown_links(system(), bill),
        event=event,
    )


def shown_links(system: System, bill: Bill) -> Sequence[ShownLink]:
    """For `shares/index.html` and `shares/_panel.html`: those that work first."""
    caller = current_caller()
    may_hand_on = caller is not None and caller.may(Role.OPERATOR)
    return [
        ShownLink(listed, _address(system, listed) if may_hand_on and listed.link.revoked_at is None else None)
        for listed in links.of_bill(system.engine, bill.id)
    ]


def _address(system: System, listed: ListedLink) -> str:
    """Of the customer's page, as it is handed on: made anew each time, and nowhere kept."""
    token = token_of(system.config.secret_key, listed.link.id)
    return system.config.public_url + url_for("customer.show_bill", token=token)
