"""The three calls of a bill over HTTP, whatever engine makes them durable: for gunicorn with the project's settings."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from flask import Flask, request

Add = Callable[[str, str, Mapping[str, str]], dict[str, str]]
Close = Callable[[str], dict[str, str]]

_kept = threading.local()


def connection() -> psycopg.Connection:
    """One a thread, kept."""
    if not hasattr(_kept, "connection"):
        _kept.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return _kept.connection


def app_with(*, opened: Callable[[], str], add: Add, close: Close) -> Flask:
    app = Flask(__name__)

    @app.post("/bills")
    def open_bill() -> dict[str, Any]:
        return {"id": opened()}

    @app.post("/bills/<bill_id>/line-items")
    def add_line_item(bill_id: str) -> dict[str, Any]:
        return {"totals": add(bill_id, request.headers["Idempotency-Key"], request.get_json())}

    @app.post("/bills/<bill_id>/close")
    def close_bill(bill_id: str) -> dict[str, Any]:
        return {"payable": close(bill_id)}

    @app.get("/healthz")
    def live() -> str:
        return "ok"

    return app
