"""What every template may use: filters, element ids, addresses of assets, and what the caller may do."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, url_for

from webapp import formatting
from webapp.assets import asset_url, font_name
from webapp.identity.caller import current_caller
from webapp.identity.roles import Role
from webapp.pages.element_ids import element_id
from webapp.pages.event_words import event_words


def register(pages: Blueprint) -> None:
    for name, filter_ in formatting.FILTERS.items():
        pages.add_app_template_filter(filter_, name)
    pages.add_app_template_filter(event_words)
    pages.add_app_template_global(element_id)
    pages.add_app_template_global(asset_url)
    pages.add_app_template_global(font_name)
    pages.app_context_processor(_caller)


def sections() -> list[tuple[str, str, str]]:
    """The console's parts, in the order of the rail: address, first part of the path, label."""
    parts = [
        ("bills", "list_bills", "Bills"),
        ("customers", "list_customers", "Customers"),
        ("rates", "show_rates", "Rates"),
    ]
    return [(url_for(f"pages.{endpoint}"), path, label) for path, endpoint, label in parts]


def _caller() -> dict[str, Any]:
    """Templates offer what the caller may do; whether it may be done, the routes decide."""
    caller = current_caller()
    return {
        "caller": caller,
        "sections": sections(),
        "may_operate": caller is not None and caller.role.includes(Role.OPERATOR),
        "may_administer": caller is not None and caller.role.includes(Role.ADMIN),
    }
