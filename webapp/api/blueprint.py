"""The JSON API, version 1. `webapp/api/routes.py` brings its parts together."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.routing import PathConverter

PATH = "/api/v1"
api = Blueprint("api", __name__, url_prefix=PATH)


class AnyText(PathConverter):
    """A path's whole rest: unlike `path` it may begin with a slash, as a customer's id may."""

    regex = ".+?"
    part_isolating = False


# The first of what the blueprint does on an application, since its routes need it.
api.record(lambda state: state.app.url_map.converters.update(any_text=AnyText))
