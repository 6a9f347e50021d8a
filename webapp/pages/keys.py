"""The console's keys: declared once, for the page that lists them, for the script that heeds them, for the palette."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from webapp.identity.access import declared
from webapp.identity.caller import current_caller
from webapp.identity.roles import Role


@dataclass(frozen=True, slots=True)
class Shortcut:
    """`keys` one after the other, blanks between. It leads to `endpoint`, or the script knows what it does."""

    keys: str
    label: str
    endpoint: str | None = None

    @property
    def parts(self) -> list[str]:
        return self.keys.split()


SHORTCUTS = (
    Shortcut("Ctrl+K", "Search or jump to anything"),
    Shortcut("/", "Search"),
    Shortcut("n", "New bill", "pages.new_bill"),
    Shortcut("g o", "Overview", "pages.home"),
    Shortcut("g b", "Bills", "pages.list_bills"),
    Shortcut("g c", "Customers", "pages.list_customers"),
    Shortcut("g r", "Rates", "pages.show_rates"),
    Shortcut("g a", "Needs attention", "pages.show_attention"),
    Shortcut("g s", "Settings", "pages.show_settings"),
    Shortcut("j", "Next row of a list; Enter opens it"),
    Shortcut("k", "Row before"),
    Shortcut("x", "Choose the row"),
    Shortcut("?", "These shortcuts", "pages.show_shortcuts"),
    Shortcut("Esc", "Close what is open above the page"),
)


def shortcuts() -> list[Shortcut]:
    """Those that lead where the caller may go."""
    return [shortcut for shortcut in SHORTCUTS if shortcut.endpoint is None or is_allowed(shortcut.endpoint)]


def is_allowed(endpoint: str) -> bool:
    """Whether the caller may open it, as its route declares; nothing before a second factor that is needed."""
    caller, needed = current_caller(), declared(current_app, endpoint)
    if caller is None or caller.must_enrol:
        return False
    return isinstance(needed, Role) and caller.may(needed)
