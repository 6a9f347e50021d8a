"""The API's description: the document for programs, and the pages that show it to people. Both are for everybody."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache

from flask import Blueprint, Flask, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue

from webapp.api import render
from webapp.api.blueprint import PATH
from webapp.api.contract import document
from webapp.identity.access import public

reference = Blueprint("reference", __name__)
BRIEFLY = "public, max-age=60"


@reference.get(f"{PATH}/openapi.json")
@public
def show_document() -> Response:
    month = datetime.now(UTC).date().replace(day=1)
    response = Response(_document(_app(), month), mimetype="application/json")
    response.add_etag()
    response.headers["Cache-Control"] = BRIEFLY
    # It holds nothing of anybody's: tools of any origin may read it.
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response.make_conditional(request)


@lru_cache(maxsize=2)
def _document(app: Flask, month: date) -> str:
    return render.to_json(document.of_app(app, month)) + "\n"


@reference.get("/docs")
@public
def show_documentation() -> ResponseReturnValue:
    return render_template("reference/show.html", document=f"{PATH}/openapi.json")


def _app() -> Flask:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    return app
