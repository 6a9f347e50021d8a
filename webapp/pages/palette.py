"""The command palette: bills, customers and whatever the caller may do, by a few words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask import request, url_for
from flask.typing import ResponseReturnValue

from billing.bill import Bill, Customer
from billing.ledger import quick_search
from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.environment import sections
from webapp.pages.keys import SHORTCUTS, is_allowed
from webapp.pages.rendering import render, see_other, wants_fragment
from webapp.pages.settings import settings_tabs
from webapp.pages.titles import period_title
from webapp.system import system

LONGEST_WORDS = 255


@dataclass(frozen=True, slots=True)
class Option:
    address: str
    title: str
    detail: str = ""
    status: str = ""
    keys: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    label: str
    options: Sequence[Option]


@dataclass(frozen=True, slots=True)
class Found:
    """`said` is what a screen reader hears of it."""

    words: str
    groups: Sequence[Group]

    @property
    def said(self) -> str:
        count = sum(len(group.options) for group in self.groups)
        return f"{count} found" if count else "Nothing found"


# What can be done besides going to a section: label, other words for it, endpoint.
ACTIONS = (
    ("New bill", "add create open", "pages.new_bill"),
    ("New customer", "add create register", "pages.new_customer"),
    ("Keyboard shortcuts", "keys help", "pages.show_shortcuts"),
)


@pages.get("/palette")
@allow(Role.VIEWER)
def palette() -> ResponseReturnValue:
    """What the words find, for the palette that is open; without script the list of bills looks for them."""
    words = " ".join(request.args.get("q", "").replace("\0", "").split())[:LONGEST_WORDS]
    if not wants_fragment():
        return see_other(url_for("pages.list_bills", q=words or None))
    finds = quick_search.find(system().engine, words)
    things = [
        Group("bills", "Bills" if words else "Newest bills", [_bill(bill) for bill in finds.bills]),
        Group("customers", "Customers", [_customer(customer) for customer in finds.customers]),
    ]
    doings = [
        Group("actions", "Actions", list(_actions(words.lower()))),
        Group("sections", "Go to", list(_sections(words.lower()))),
    ]
    # Who has typed nothing yet wants to do something; who types looks for something.
    groups = [*things, *doings] if words else [*doings, *things]
    return render("palette/_results.html", found=Found(words, [group for group in groups if group.options]))


def _bill(bill: Bill) -> Option:
    number = f"No. {bill.printed_number} · " if bill.number else ""
    customer = bill.customer.name or bill.customer.external_id
    address = url_for("pages.show_bill", bill_id=bill.id)
    return Option(address, f"{number}{customer}", period_title(bill.period), bill.status)


def _customer(customer: Customer) -> Option:
    address = url_for("pages.show_customer", customer_id=customer.id)
    return Option(address, customer.name or customer.external_id, customer.external_id if customer.name else "")


def _actions(words: str) -> Iterator[Option]:
    keys = {shortcut.endpoint: shortcut.keys for shortcut in SHORTCUTS if shortcut.endpoint}
    for label, others, endpoint in ACTIONS:
        if _fits(words, f"{label} {others}") and is_allowed(endpoint):
            yield Option(url_for(endpoint), label, keys=keys.get(endpoint, ""))


def _sections(words: str) -> Iterator[Option]:
    keys = {url_for(shortcut.endpoint): shortcut.keys for shortcut in SHORTCUTS if shortcut.endpoint}
    for section in sections():
        if _fits(words, section.label):
            yield Option(section.address, section.label, keys=keys.get(section.address, ""))
    for tab in settings_tabs() if words else ():
        if _fits(words, f"Settings {tab.label}"):
            yield Option(tab.address, tab.label, "Settings")


def _fits(words: str, label: str) -> bool:
    """Every word begins a word of the label."""
    starts = label.lower().split()
    return all(any(start.startswith(word) for start in starts) for word in words.split())
