"""A bill's lines by Flask, psycopg and Jinja alone: the rows are read, put into a table with escaping, and sent.

No session, no totals, no events, nothing to click on. Served like the system: `bench.support.bare_table:create_app()`.
"""

from __future__ import annotations

import os
import threading
import uuid

import psycopg
from flask import Flask, request
from psycopg.rows import namedtuple_row

ROWS = """
    SELECT id, position, description, currency, quantity, unit_price, total, created_at FROM line_items
    WHERE bill_id = %s AND position <= %s ORDER BY position DESC LIMIT %s
"""
TABLE = """<!doctype html>
<title>Bill</title>
<table>
<thead><tr><th>Description</th><th>Quantity</th><th>Unit price</th><th>Amount</th><th>Added</th></tr></thead>
<tbody>{% for item in items %}<tr id="line-item-{{ item.id }}">
  <td>{{ item.description }}</td>
  <td>{{ "{:,f}".format(item.quantity) }}</td>
  <td>{{ "{:,f}".format(item.unit_price) }}</td>
  <td>{{ "{:,f}".format(item.total) }} {{ item.currency }}</td>
  <td>{{ item.created_at.strftime("%d %b, %H:%M") }}</td>
</tr>{% endfor %}</tbody>
</table>
"""


def create_app() -> Flask:
    app = Flask(__name__)
    # Made once, as files of templates are: compiled with each request it takes three times as long for 50 rows.
    table = app.jinja_env.from_string(TABLE)
    kept = threading.local()

    def connection() -> psycopg.Connection:
        if not hasattr(kept, "connection"):
            kept.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, row_factory=namedtuple_row)
        return kept.connection

    @app.get("/bills/<uuid:bill_id>")
    def show(bill_id: uuid.UUID) -> str:
        wanted = [bill_id, int(request.args["newest"]), int(request.args["rows"])]
        return table.render(items=connection().execute(ROWS, wanted).fetchall())

    @app.get("/healthz")
    def live() -> str:
        return "ok"

    return app
