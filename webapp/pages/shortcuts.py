"""The list of keys, as a dialog of the open page or a page of its own."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.rendering import page_or_dialog


@pages.get("/shortcuts")
@allow(Role.VIEWER)
def show_shortcuts() -> ResponseReturnValue:
    return page_or_dialog("shortcuts/show.html")
