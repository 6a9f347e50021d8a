"""The JSON API, version 1. `webapp/api/routes.py` brings its parts together."""

from __future__ import annotations

from flask import Blueprint

PATH = "/api/v1"
api = Blueprint("api", __name__, url_prefix=PATH)
