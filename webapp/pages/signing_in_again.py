"""What somebody gets whose session has ended, wherever they are: to sign in, and to go on with nothing lost."""

from __future__ import annotations

import json

from flask import Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf

from webapp.identity import sessions
from webapp.identity.caller import current_caller
from webapp.pages.forms import Form
from webapp.pages.kept_forms import KeptForm
from webapp.pages.rendering import local_path, render, wants_fragment
from webapp.system import system

SLOT = "sign-in-slot"


def sign_in_first() -> ResponseReturnValue:
    """The open page stays as it is under a dialog; without script, what was sent waits in the sign-in page."""
    if wants_fragment():
        user = sessions.last_user(system().engine) or ""
        return sign_in_form(Form({"email": user, "page_user": user}, status=401), is_again=True)
    if request.method == "POST":
        kept = KeptForm.of_request()
        if kept is not None:
            form = Form({"email": kept.user or "", "kept": kept.text}, status=401)
            return sign_in_form(form, is_again=True)
    back = request.script_root + request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("pages.new_session", next=back if back != "/" else None), 303)


def sign_in_form(form: Form, *, is_again: bool = False) -> Response:
    return _step("sessions/new.html", form, is_again=is_again, oidc=system().config.oidc)


def code_form(form: Form) -> Response:
    return _step("sessions/code.html", form)


def signed_in(form: Form) -> ResponseReturnValue:
    """On with what was being done."""
    caller, kept = current_caller(), KeptForm.carried(form)
    if wants_fragment():
        response = render("sessions/signed_in.html", other=_other(form["page_user"]))
        return renew_tokens(response)
    if kept is not None and caller is not None and not caller.must_enrol:
        return render("sessions/resume.html", kept=kept, other=_other(kept.user))
    return redirect(local_path(form["next"]) or url_for("pages.home"), 303)


def sent_by_an_old_page() -> ResponseReturnValue | None:
    """A form whose token belongs to an earlier session: its sender looks at it once more. None for any other."""
    caller = current_caller()
    if request.endpoint in ("pages.create_session", "pages.confirm_code"):
        return sign_in_form(Form(request.form, {"": "This page was too old. Sign in now."}, status=400))
    if caller is None:
        return None
    if wants_fragment():
        response = render("sessions/_renewed.html", status=400)
        response.headers["HX-Retarget"] = "#notices"
        response.headers["HX-Reswap"] = "innerHTML"
        return renew_tokens(response)
    kept = KeptForm.of_request()
    return render("sessions/resume.html", status=400, kept=kept, other="") if kept else None


def renew_tokens(response: Response) -> Response:
    """Tells the open page the token that its forms need now. No other site can read this answer."""
    response.headers["HX-Trigger"] = json.dumps({"signed-in": {"token": generate_csrf()}})
    return response


def enrol_first() -> ResponseReturnValue:
    """A second factor must be set up before anything else."""
    address = url_for("pages.new_second_factor")
    if wants_fragment():
        response = Response(status=200)
        response.headers["HX-Redirect"] = address
        return response
    flash("Your role needs a second factor. Set it up to go on.")
    return redirect(address, 303)


def _other(page_user: str | None) -> str:
    """Whose page it is, when somebody else has signed in on it."""
    caller = current_caller()
    return page_user if page_user and caller is not None and page_user != caller.actor.name else ""


def _step(template: str, form: Form, **context: object) -> Response:
    in_dialog = wants_fragment()
    frame = "dialog.html" if in_dialog else "layout.html"
    response = render(template, status=form.status, frame=frame, in_dialog=in_dialog, form=form, **context)
    if in_dialog:
        response.headers["HX-Retarget"] = f"#{SLOT}"
        response.headers["HX-Reswap"] = "innerHTML"
    return response
