"""A form that was sent after its session had ended: kept in the page while its sender signs in again.

Without script there is no open page that could keep it. It travels as a hidden field, never into the database; what
looks like a password is left out. Only forms of our own pages are kept: another site's must not be carried in here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from flask import current_app, request, session
from flask_wtf.csrf import validate_csrf
from wtforms.validators import ValidationError

from webapp.identity import sessions
from webapp.pages.forms import LABELS, Form
from webapp.pages.rendering import local_path
from webapp.system import system

LONGEST = 100_000
_MOST_FIELDS = 500
_NEVER_KEPT = ("password", "code", "csrf_token")
_NOT_TYPED = ("idempotency_key", "version", "currency_shown")


@dataclass(frozen=True, slots=True)
class KeptForm:
    """Where it was going, what it held, from which page it came and whose page that was, as far as is known."""

    address: str
    fields: Sequence[tuple[str, str]]
    came_from: str | None = None
    user: str | None = None

    @classmethod
    def of_request(cls) -> KeptForm | None:
        """The form that this request sends; None for one of another site, or more than a page should carry."""
        fields = [
            (name, value)
            for name, value in request.form.items(multi=True)
            if not any(part in name.lower() for part in _NEVER_KEPT)
        ]
        if request.files or len(fields) > _MOST_FIELDS or not _is_ours():
            return None
        referrer = request.referrer or ""
        came_from = local_path(referrer.removeprefix(request.host_url.rstrip("/")))
        kept = cls(request.full_path.rstrip("?"), fields, came_from, sessions.last_user(system().engine))
        return kept if len(kept.text) <= LONGEST else None

    @classmethod
    def carried(cls, form: Form) -> KeptForm | None:
        """The one that a step of signing in carries on."""
        try:
            address, fields, came_from, user = json.loads(form["kept"])
            pairs = [(str(name), str(value)) for name, value in fields]
        except (ValueError, TypeError):
            return None
        if not local_path(address):
            return None
        return cls(address, pairs, local_path(came_from), user if isinstance(user, str) else None)

    @property
    def text(self) -> str:
        """As a hidden field carries it."""
        return json.dumps([self.address, self.fields, self.came_from, self.user])

    @property
    def typed(self) -> Sequence[tuple[str, str]]:
        """What its sender sees: each filled field with its label."""
        return [
            (LABELS.get(name, name.replace("_", " ")).capitalize(), value)
            for name, value in self.fields
            if value and name not in _NOT_TYPED
        ]


def _is_ours() -> bool:
    """Browsers say where a form comes from; an old one, that it has the token of the session that ended."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site or origin:
        return site == "same-origin" or origin == request.host_url.rstrip("/")
    if current_app.config["WTF_CSRF_FIELD_NAME"] not in session:
        return False
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValidationError:
        return False
    return True
