"""What every template may use: filters, element ids, addresses of assets, and what the caller may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint

from billing.errors import Unavailable
from webapp import formatting, logs
from webapp.assets import asset_integrity, asset_url, font_name
from webapp.attention import Attention
from webapp.identity.caller import current_caller
from webapp.identity.roles import Role
from webapp.modes import other_mode, shows_test_mode
from webapp.pages import elements
from webapp.pages.addresses import address
from webapp.pages.element_ids import element_id
from webapp.pages.event_words import event_words
from webapp.pages.forms import in_words
from webapp.pages.keys import is_allowed, shortcuts
from webapp.pages.titles import period_title
from webapp.system import system


def register(pages: Blueprint) -> None:
    for name, filter_ in {**formatting.FILTERS, **elements.FILTERS}.items():
        pages.add_app_template_filter(filter_, name)
    pages.add_app_template_filter(event_words)
    pages.add_app_template_filter(period_title)
    pages.add_app_template_filter(in_words)
    pages.add_app_template_global(element_id)
    pages.add_app_template_filter(element_id)
    pages.add_app_template_global(address, "url_for")
    pages.add_app_template_global(asset_url)
    pages.add_app_template_global(asset_integrity)
    pages.add_app_template_global(font_name)
    # Not by context: what is imported from a template has none.
    pages.record_once(lambda state: state.app.jinja_env.globals.update(elements=elements))
    pages.app_context_processor(_caller)


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the rail. `path` is the first part of the addresses that belong to it; None for no page's own."""

    address: str
    path: str | None
    label: str
    count: int = 0
    counted: str = ""
    is_warning: bool = False


def sections() -> list[Section]:
    """The console's parts, in the order of the rail, with what is to be counted of them as of a moment ago."""
    if not is_allowed("pages.home"):
        return []
    if shows_test_mode():
        return _of_test_mode()
    attention = _attention()
    open_bills, concerns = (attention.open_bills, attention.count) if attention else (0, 0)
    return [
        Section(address("pages.home"), "", "Overview"),
        Section(address("pages.list_bills"), "bills", "Bills", open_bills, "open"),
        Section(address("pages.list_customers"), "customers", "Customers"),
        Section(address("pages.show_rates"), "rates", "Rates"),
        Section(address("pages.show_attention"), "attention", "Needs attention", concerns, is_warning=True),
        Section(address("pages.show_settings"), "settings", "Settings"),
    ]


def _of_test_mode() -> list[Section]:
    """Nobody's attention is asked for what is tried out; what is the same in both modes is where it always is."""
    webhooks = [Section(address("pages.list_webhooks"), "settings", "Webhooks")]
    return [
        Section(address("pages.home"), "", "Overview"),
        Section(address("pages.list_bills"), "bills", "Bills"),
        Section(address("pages.list_customers"), "customers", "Customers"),
        *(webhooks if is_allowed("pages.list_webhooks") else []),
    ]


def _attention() -> Attention | None:
    """The rail never keeps a page from being shown, least of all the one that says what went wrong."""
    try:
        return system().attention()
    except Unavailable:
        return None
    except Exception as error:
        logs.fault(error)
        return None


def _caller() -> dict[str, Any]:
    """Templates offer what the caller may do; whether it may be done, the routes decide."""
    caller = current_caller()
    return {
        "caller": caller,
        "sections": sections,
        "shows_test_mode": shows_test_mode,
        "other_mode": other_mode,
        "shortcuts": shortcuts,
        "may_operate": caller is not None and caller.may(Role.OPERATOR),
        "may_administer": caller is not None and caller.may(Role.ADMIN),
    }
