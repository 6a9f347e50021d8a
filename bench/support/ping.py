"""What Flask takes to answer nothing, and what Jinja takes for a bare table, served as the system is.

`bench.support.ping:create_app()`.
"""

from __future__ import annotations

from flask import Flask


def create_app() -> Flask:
    app = Flask(__name__)

    @app.get("/healthz")
    def ping() -> str:
        return "ok"

    return app
