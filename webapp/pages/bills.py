"""The list of bills."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages import bill_list
from webapp.pages.blueprint import pages
from webapp.pages.rendering import render, wants_fragment
from webapp.system import system


@pages.get("/bills")
@allow(Role.VIEWER)
def list_bills() -> ResponseReturnValue:
    listed = bill_list.read(system(), request.args, workbench=True)
    if not wants_fragment():
        return render("bills/index.html", status=listed.form.status, listed=listed)
    response = render("bills/listed.html", status=listed.form.status, listed=listed)
    # Back undoes a filter; it doesn't go through a word letter by letter.
    is_typing = request.htmx.trigger_name == "q"  # type: ignore[attr-defined]
    response.headers["HX-Replace-Url" if is_typing else "HX-Push-Url"] = listed.address
    return response
