"""Settings: the tabs of the part of the console that is set up once and seldom changed."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request, url_for
from flask.typing import ResponseReturnValue

from webapp.identity.access import allow
from webapp.identity.caller import current_caller
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.rendering import see_other


@dataclass(frozen=True, slots=True)
class Tab:
    """A page of the settings, for callers of this role and those that include it."""

    endpoint: str
    label: str
    role: Role


# In the order in which they stand. What lies below a tab's address belongs to the tab.
TABS = (
    Tab("pages.show_seller", "Seller", Role.VIEWER),
    Tab("pages.show_currencies", "Currencies", Role.VIEWER),
    Tab("pages.list_users", "Users", Role.ADMIN),
    Tab("pages.list_api_keys", "API keys", Role.ADMIN),
    Tab("pages.list_webhooks", "Webhooks", Role.ADMIN),
    Tab("pages.show_audit_log", "Audit log", Role.ADMIN),
    Tab("pages.show_account", "Your account", Role.VIEWER),
)


@dataclass(frozen=True, slots=True)
class ShownTab:
    address: str
    label: str
    is_open: bool


@pages.get("/settings")
@allow(Role.VIEWER)
def show_settings() -> ResponseReturnValue:
    return see_other(settings_tabs()[0].address)


@pages.app_template_global()
def settings_tabs() -> list[ShownTab]:
    """Those that the caller may open."""
    caller = current_caller()
    return [_shown(tab) for tab in TABS if caller is not None and caller.may(tab.role)]


def _shown(tab: Tab) -> ShownTab:
    address = url_for(tab.endpoint)
    return ShownTab(address, tab.label, is_open=request.path == address or request.path.startswith(f"{address}/"))
