"""What every template may use: filters, element ids, addresses of assets, and what the caller may do."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from webapp import formatting
from webapp.assets import asset_url
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
    pages.app_context_processor(_caller)


def _caller() -> dict[str, Any]:
    """Templates offer what the caller may do; whether it may be done, the routes decide."""
    caller = current_caller()
    return {
        "caller": caller,
        "may_operate": caller is not None and caller.role.includes(Role.OPERATOR),
        "may_administer": caller is not None and caller.role.includes(Role.ADMIN),
    }
