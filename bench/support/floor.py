"""The floor: what one durable line item costs with Flask and psycopg when nothing else is done.

Parse, lock the bill's row, insert, commit, answer. No key, no checks of ours, no totals, no event, no
workflow. Served by gunicorn with the project's settings: `bench.support.floor:create_app()`.
"""

import os
import threading
import uuid
from decimal import Decimal

import psycopg
from flask import Flask, request

LOCK = "SELECT item_count FROM bills WHERE id = %s FOR UPDATE"
# The position comes from a sequence: counting would be a second write.
INSERT = """
    INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total,
                            created_at, added_in_version)
    VALUES (%s, nextval('bench_positions'), %s, %s, %s, %s, %s, %s, clock_timestamp(), 2)
"""


def create_app() -> Flask:
    app = Flask(__name__)
    kept = threading.local()

    def connection() -> psycopg.Connection:
        if not hasattr(kept, "connection"):
            kept.connection = psycopg.connect(os.environ["DATABASE_URL"])
        return kept.connection

    @app.post("/bills/<uuid:bill_id>/line-items")
    def add_line_item(bill_id: uuid.UUID) -> dict[str, str]:
        asked = request.get_json()
        quantity, unit_price = Decimal(asked["quantity"]), Decimal(asked["unit_price"])
        item_id, total = uuid.uuid4(), quantity * unit_price
        database = connection()
        database.execute(LOCK, [bill_id])
        values = [asked["description"], asked["currency"], quantity, unit_price, total]
        database.execute(INSERT, [bill_id, item_id, *values])
        database.commit()
        return {"id": str(item_id), "total": str(total)}

    @app.get("/healthz")
    def live() -> str:
        return "ok"

    return app
