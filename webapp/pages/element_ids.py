"""Ids of elements, made by one function for templates, scripts' targets and tests alike."""

from __future__ import annotations

from functools import singledispatch

from billing.bill import Bill, Customer, LineItem
from billing.ledger.events import Event
from billing.ledger.findings import Finding
from billing.ledger.links import ShareLink


def element_id(thing: object, part: str = "") -> str:
    """`line-item-<id>`, or `line-item-<id>-reversal` for a part of it."""
    return f"{_name(thing)}-{part}" if part else _name(thing)


@singledispatch
def _name(thing: object) -> str:
    raise TypeError(f"no element shows a {type(thing).__name__}")


@_name.register
def _(noun: str) -> str:
    return noun


@_name.register
def _(bill: Bill) -> str:
    return f"bill-{bill.id}"


@_name.register
def _(item: LineItem) -> str:
    return f"line-item-{item.id}"


@_name.register
def _(event: Event) -> str:
    return f"event-{event.version}"


@_name.register
def _(customer: Customer) -> str:
    return f"customer-{customer.id}"


@_name.register
def _(link: ShareLink) -> str:
    return f"link-{link.id}"


@_name.register
def _(finding: Finding) -> str:
    return f"finding-{finding.id}"
