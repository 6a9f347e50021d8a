"""The pages: what staff see in a browser. One module a noun; `webapp/pages/routes.py` loads them all."""

from __future__ import annotations

from flask import Blueprint

from webapp.pages import environment, errors

pages = Blueprint("pages", __name__)
environment.register(pages)
errors.register(pages)
