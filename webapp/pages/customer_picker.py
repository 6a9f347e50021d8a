"""Choosing a customer while typing: who fits, who it is, or the fields for somebody new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import request
from flask.typing import ResponseReturnValue

from billing.bill import Customer
from billing.errors import CustomerNotFound
from webapp import queries
from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import Form
from webapp.pages.rendering import render
from webapp.system import System, system

CUSTOMERS_SUGGESTED = 20
LONGEST_SEARCH = 255


@dataclass(frozen=True, slots=True)
class Picked:
    """`customer` is who has this very id; without one, `is_unknown` unless nothing is typed yet. `registers`: the
    form says that somebody new is meant, or nobody else can be."""

    typed: str
    customer: Customer | None
    suggestions: Sequence[Customer]
    registers: bool

    @property
    def is_unknown(self) -> bool:
        return bool(self.typed) and self.customer is None


def picked(system: System, values: Mapping[str, str]) -> Picked:
    typed = values.get("customer_id", "").strip()
    words = typed.replace("\0", "")[:LONGEST_SEARCH]
    suggestions = queries.customers(system, text=words, limit=CUSTOMERS_SUGGESTED)
    customer = next((known for known in suggestions if known.external_id == typed), None) or _known(system, typed)
    return Picked(typed, customer, suggestions, registers=values.get("register") == "yes" or not suggestions)


def _known(system: System, external_id: str) -> Customer | None:
    try:
        return queries.customer(system, external_id) if external_id and "\0" not in external_id else None
    except CustomerNotFound:
        return None


@pages.get("/customer-picker")
@allow(Role.OPERATOR)
def pick_customer() -> ResponseReturnValue:
    """What belongs below the field as it stands, and the names to choose from."""
    form = Form(request.args)
    return render("customer_picker/show.html", form=form, picked=picked(system(), form.values))
