"""A form that was sent after its session had ended: kept in the page while its sender signs in again.

Without script there is no open page that could keep it. It travels as a hidden field, never into the database; what
looks like a password is left out. Chosen files can't travel along: their names do, so that they are chosen again. Only
forms of our own pages are kept: another site's must not be carried in here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from flask import current_app, request, session
from flask_wtf.csrf import validate_csrf
from werkzeug.exceptions import HTTPException
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
    """Where it was going, what it held, from which page it came and whose page that was, as far as is known.

    `files` are the names of the chosen files with those of their fields.
    """

    address: str
    fields: Sequence[tuple[str, str]]
    came_from: str | None = None
    user: str | None = None
    files: Sequence[tuple[str, str]] = ()

    @classmethod
    def of_request(cls) -> KeptForm | None:
        """The form that this request sends; None for one of another site, that can't be read, or of more than a page
        should carry."""
        try:
            return cls._of_form()
        except HTTPException:
            return None

    @classmethod
    def _of_form(cls) -> KeptForm | None:
        fields = [
            (name, value)
            for name, value in request.form.items(multi=True)
            if not any(part in name.lower() for part in _NEVER_KEPT)
        ]
        # Browsers send a part without a name where no file was chosen.
        files = [(name, file.filename) for name, file in request.files.items(multi=True) if file.filename]
        if len(fields) + len(files) > _MOST_FIELDS or not _is_ours():
            return None
        referrer = request.referrer or ""
        came_from = local_path(referrer.removeprefix(request.host_url.rstrip("/")))
        kept = cls(
            request.script_root + request.full_path.rstrip("?"),
            fields,
            came_from,
            sessions.last_user(system().engine),
            files,
        )
        return kept if len(kept.text) <= LONGEST else None

    @classmethod
    def carried(cls, form: Form) -> KeptForm | None:
        """The one that a step of signing in carries on."""
        try:
            address, fields, came_from, user, files = json.loads(form["kept"])
            pairs, chosen = ([(str(name), str(value)) for name, value in pairs] for pairs in (fields, files))
        except (ValueError, TypeError):
            return None
        if not local_path(address):
            return None
        return cls(address, pairs, local_path(came_from), user if isinstance(user, str) else None, chosen)

    @property
    def text(self) -> str:
        """As a hidden field carries it."""
        return json.dumps([self.address, self.fields, self.came_from, self.user, self.files])

    @property
    def typed(self) -> Sequence[tuple[str, str]]:
        """What its sender sees: each filled field with its label."""
        return [(_label(name), value) for name, value in self.fields if value and name not in _NOT_TYPED]

    @property
    def to_choose(self) -> Sequence[tuple[str, str, str]]:
        """Each chosen file's field, label and name."""
        return [(field, _label(field), name) for field, name in self.files]


def _label(field: str) -> str:
    return LABELS.get(field, field.replace("_", " ")).capitalize()


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
